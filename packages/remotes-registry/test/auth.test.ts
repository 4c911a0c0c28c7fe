import type { Credentials } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send } from "./fake-registry.ts";
import { errorOf, fetchLayer, sendManifest, tagPath, target, testResolver } from "./fixtures.ts";
import { pullScope, sendJson, tokenCalls, tokenRegistry } from "./token-registry.ts";

const user: Credentials = { username: "ann", password: "planted-secret:with/colon" };

// A1
test("a registry that asks nobody who they are gets no credentials, though there are some", async () => {
  await using registry = await fakeRegistry(sendManifest);
  await using resolver = testResolver({ credentials: async () => user });
  await resolver.resolve(`${registry.host}/lib/app:v1`);
  await resolver.resolve(`${registry.host}/lib/app:v1`);
  expect(registry.log()).toEqual([`HEAD ${tagPath}`, `HEAD ${tagPath}`]);
  expect(registry.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
});

describe("bearer tokens", () => {
  // A2, A8, C-RES.1
  test.each(["token", "access_token"])("are asked for anonymously and found in %s", async (field) => {
    await using registry = await tokenRegistry({ token: (_seen, response) => sendJson(response, { [field]: "t1" }) });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(registry.log()).toEqual([
      `HEAD ${tagPath}`,
      `GET /token?service=reg&scope=${encodeURIComponent(pullScope)}`,
      `HEAD ${tagPath}`,
    ]);
    expect(tokenCalls(registry)[0]?.headers.authorization).toBeUndefined();
  });

  // A9
  test("are shared by requests that come together, and kept", async () => {
    await using registry = await tokenRegistry({
      token: async (_seen, response) => {
        await new Promise((resolve) => setTimeout(resolve, 30));
        sendJson(response, { token: "t1", expires_in: 300 });
      },
    });
    await using resolver = testResolver();
    await Promise.all(Array.from({ length: 5 }, () => resolver.resolve(`${registry.host}/lib/app:v1`)));
    await fetchLayer(resolver, registry.host);
    expect(tokenCalls(registry)).toHaveLength(1);
  });

  // A9: one caller that gives up must not take the token from the others
  test("are still fetched for others when one caller aborts", async () => {
    const gate = Promise.withResolvers<void>();
    await using registry = await tokenRegistry({
      token: async (_seen, response) => {
        await gate.promise;
        sendJson(response, { token: "t1" });
      },
    });
    await using resolver = testResolver();
    const stop = new AbortController();
    const reason = new Error("enough");
    const first = resolver.resolve(`${registry.host}/lib/app:v1`, { signal: stop.signal });
    const second = resolver.resolve(`${registry.host}/lib/app:v1`);
    const refused = errorOf(first);
    // The token call and both requests; who was refused last has had its turn to join the call by the time that turns went by.
    while (registry.seen.length < 3) await new Promise((resolve) => setTimeout(resolve, 2));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
    stop.abort(reason);
    expect(await refused).toBe(reason);
    gate.resolve();
    expect((await second).descriptor).toEqual(target);
    expect(tokenCalls(registry)).toHaveLength(1);
  });

  // A8
  test("that expire in the middle are fetched again, once, for all", async () => {
    let generation = 1;
    await using registry = await tokenRegistry({
      token: (_seen, response) => sendJson(response, { token: `g${generation}`, expires_in: 3600 }),
      accepts: (token) => token === `g${generation}`,
    });
    await using resolver = testResolver();
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    generation = 2;
    await Promise.all([1, 2, 3].map(() => fetchLayer(resolver, registry.host)));
    expect(tokenCalls(registry)).toHaveLength(2);
  });

  // C-RES.2
  test("that are never accepted end in an error, not in a loop", async () => {
    await using registry = await tokenRegistry({ accepts: () => false });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: `HEAD ${registry.url}${tagPath}: 401 Unauthorized (asked without credentials)`,
    });
    expect(tokenCalls(registry).length).toBeLessThanOrEqual(2);
  });

  test("are not asked for on and on when the registry demands something else each time", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.startsWith("/token")) sendJson(response, { token: `t${registry.seen.length}` });
      else {
        const scope = `repository:other${registry.seen.length}:pull`;
        const challenge = `Bearer realm="http://${seen.headers.host}/token",scope="${scope}",error="insufficient_scope"`;
        send(response, 401, { "www-authenticate": challenge });
      }
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
    });
    expect(registry.seen.length).toBeLessThan(10);
  });

  // A10
  test("for a scope that the registry demands put that scope first", async () => {
    const demanded = "repository:other/base:pull";
    await using registry = await tokenRegistry({
      token: (seen, response) => {
        const scopes = new URL(seen.path, "http://x").searchParams.getAll("scope");
        sendJson(response, { token: scopes[0] === demanded ? "t1" : "weak" });
      },
      more: `,scope="${demanded}",error="insufficient_scope"`,
    });
    await using resolver = testResolver();
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    const scopes = new URL(tokenCalls(registry)[0]?.path ?? "", "http://x").searchParams.getAll("scope");
    expect(scopes).toEqual([demanded, pullScope]);
  });

  // A4
  test("are found by way of the root when the refusal does not say how", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path === "/v2/") {
        send(response, 401, { "www-authenticate": `Bearer realm="http://${seen.headers.host}/token"` });
      } else if (seen.path.startsWith("/token")) sendJson(response, { token: "t1" });
      else if (seen.headers.authorization === "Bearer t1") sendManifest(seen, response);
      else send(response, 401);
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
  });

  test.each([
    ["no token", {}],
    ["a token of two lines", { token: "a\r\nX-Evil: 1" }],
    ["a number", { token: 7 }],
    ["no JSON", undefined],
  ])("are refused when the server gives %s", async (_what, answer) => {
    await using registry = await tokenRegistry({
      token: (_seen, response) =>
        answer === undefined ? send(response, 200, {}, "<html>") : sendJson(response, answer),
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  // M6
  test("of endless length are not read to the end", async () => {
    await using registry = await tokenRegistry({
      token: (_seen, response) => send(response, 200, {}, `{"token": "${"x".repeat(2_000_000)}"}`),
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_RESOURCE_EXHAUSTED",
    });
  });

  // N05
  test("of a server that is down are tried again, then its error is shown", async () => {
    await using registry = await tokenRegistry({ token: (_seen, response) => send(response, 503) });
    await using resolver = testResolver({ retries: 2 });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `GET ${registry.url}/token?…: 503 Service Unavailable`,
    });
    expect(tokenCalls(registry)).toHaveLength(3);
  });

  test("without a realm are an error of the registry", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 401, { "www-authenticate": 'Bearer service="x"' });
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });
});

describe("token servers", () => {
  // A12
  test.each([
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/token",
    "https://10.1.2.3/token",
    "https://192.168.0.1:8443/",
    "https://[fe80::1]/token",
    "https://[::ffff:10.0.0.1]/token",
    "https://[64:ff9b::169.254.169.254]/token",
    "https://[2002:a9fe:a9fe::]/token",
    "https://[::]/token",
    "https://2852039166/token",
    "https://0xa9fea9fe/token",
    "https://224.0.0.1/token",
    "ftp://auth.test/token",
    "file:///etc/passwd",
  ])("at %s are not asked", async (realm) => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 401, { "www-authenticate": `Bearer realm="${realm}"` });
    });
    await using resolver = testResolver({ credentials: async () => user });
    const failure: unknown = await resolver.resolve(`${registry.host}/lib/app:v1`).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "ERR_PERMISSION_DENIED", message: expect.stringContaining("token server") });
  });

  // A12, ggcr#2258
  test("that lead on to an inner address are not followed", async () => {
    await using registry = await tokenRegistry({
      token: (_seen, response) => send(response, 302, { location: "http://169.254.169.254/secrets" }),
    });
    await using resolver = testResolver({ credentials: async () => user });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: expect.stringContaining("token server http://169.254.169.254/secrets: an address of an inner network"),
    });
  });

  test("on another host get no password by a redirect", async () => {
    await using other = await fakeRegistry((_seen, response) => sendJson(response, { token: "t1" }));
    await using registry = await tokenRegistry({
      token: (_seen, response) => send(response, 307, { location: `${other.url}/token` }),
    });
    await using resolver = testResolver({ credentials: async () => user });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(other.seen[0]?.headers.authorization).toBeUndefined();
  });

  test("that redirect a POST get nothing more", async () => {
    await using other = await fakeRegistry((_seen, response) => sendJson(response, { token: "t1" }));
    await using registry = await tokenRegistry({
      token: (_seen, response) => send(response, 307, { location: `${other.url}/token` }),
    });
    await using resolver = testResolver({ credentials: async () => ({ identityToken: "id-1" }) });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    expect(other.seen).toEqual([]);
  });
});
