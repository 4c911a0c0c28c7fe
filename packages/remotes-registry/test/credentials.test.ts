import type { Credentials } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import { errorOf, fetchLayer, manifest, sendManifest, tagPath, target, testResolver } from "./fixtures.ts";
import { until } from "./http-raw-server.ts";
import { pullScope, sendJson, tokenCalls, tokenRegistry } from "./token-registry.ts";

const user: Credentials = { username: "ann", password: "planted-secret:with/colon" };
const basic = `Basic ${Buffer.from("ann:planted-secret:with/colon").toString("base64")}`;

async function* manifestBody(): AsyncGenerator<Uint8Array, void, undefined> {
  yield manifest;
}

describe("user and password", () => {
  // A5
  test("are sent to the token server by GET", async () => {
    await using registry = await tokenRegistry();
    const asked: string[] = [];
    await using resolver = testResolver({
      credentials: async (host, repository) => {
        asked.push(`${host} ${repository}`);
        return user;
      },
    });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    await fetchLayer(resolver, registry.host);
    expect(tokenCalls(registry).map(({ method, headers }) => [method, headers.authorization])).toEqual([
      ["GET", basic],
    ]);
    expect(asked).toEqual([`${registry.host} lib/app`]);
  });

  // A5
  test.each([404, 405, 400])("go by POST where GET is answered with %i", async (status) => {
    await using registry = await tokenRegistry({
      token: (seen, response) => {
        if (seen.method === "GET") send(response, status);
        else sendJson(response, { access_token: "t1" });
      },
    });
    await using resolver = testResolver({ credentials: async () => user });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    const form = new URLSearchParams(tokenCalls(registry)[1]?.body.toString());
    expect(Object.fromEntries(form)).toEqual({
      client_id: "varve",
      scope: pullScope,
      service: "reg",
      grant_type: "password",
      username: "ann",
      password: "planted-secret:with/colon",
    });
  });

  // A14, C-RES.2
  test("that are wrong are refused without being told to anybody", async () => {
    await using registry = await tokenRegistry({
      token: (seen, response) => {
        sendError(
          response,
          401,
          "UNAUTHORIZED",
          `bad ${seen.headers.authorization ?? ""} or planted-secret:with/colon`,
        );
      },
    });
    await using resolver = testResolver({ credentials: async () => user });
    const failure: unknown = await resolver.resolve(`${registry.host}/lib/app:v1`).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: expect.stringContaining("bad Basic … or …"),
    });
    expect(JSON.stringify(failure) + String(failure)).not.toMatch(/planted|YW5u/);
  });

  // A3, C-RES.1
  test("are sent to a registry that wants Basic, among other things that we do not know", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === basic) sendManifest(seen, response);
      else send(response, 401, { "www-authenticate": ["Negotiate", 'Digest realm="a", Basic realm="x, y"'] });
    });
    await using resolver = testResolver({ credentials: async () => user });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(registry.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, basic, basic]);
  });

  // A11
  test("that are missing are said to be missing, and nothing empty is sent", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 401, { "www-authenticate": "Basic realm=x" });
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: `registry ${registry.host}: not logged in: it wants a user and a password`,
    });
    expect(registry.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  // T7
  test("that are missing leave no answer unread, which would keep its connection", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 401, { "www-authenticate": "Basic realm=x" }, "you are nobody ".repeat(100_000));
    });
    await using resolver = testResolver({ maxConcurrentPerHost: 10 });
    const failures = await Promise.all(Array.from({ length: 10 }, () => errorOf(fetchLayer(resolver, registry.host))));
    for (const failure of failures) expect(failure).toMatchObject({ code: "ERR_UNAUTHENTICATED" });
    expect(registry.seen).toHaveLength(10);
    await until(() => registry.sockets.size === 0);
  });

  // T8
  test("that do not come are not waited for by who gives up", async () => {
    await using registry = await fakeRegistry(sendManifest);
    const asked = Promise.withResolvers<void>();
    await using resolver = testResolver({
      credentials: () => {
        asked.resolve();
        return new Promise(() => undefined);
      },
    });
    const stop = new AbortController();
    const reason = new Error("enough");
    const refused = errorOf(resolver.resolve(`${registry.host}/lib/app:v1`, { signal: stop.signal }));
    await asked.promise;
    stop.abort(reason);
    expect(await refused).toBe(reason);
  });

  // C-RES.2, A13
  test("that Basic does not accept are sent once", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 401, { "www-authenticate": "Basic realm=x" });
    });
    await using resolver = testResolver({ credentials: async () => user });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: expect.stringContaining(`(asked with the credentials for ${registry.host})`),
    });
    expect(registry.seen).toHaveLength(2);
  });

  // A15
  test("belong to a repository", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const name = Buffer.from((seen.headers.authorization ?? " ").split(" ")[1] ?? "", "base64").toString();
      if (seen.path.includes(`/${name.split(":")[0]}/`)) sendManifest(seen, response);
      else send(response, 401, { "www-authenticate": "Basic realm=x" });
    });
    await using resolver = testResolver({
      credentials: async (_host, repository) => ({ username: repository.split("/")[0] ?? "", password: "1234" }),
    });
    for (const repository of ["one/app", "two/app", "one/app"]) {
      expect((await resolver.resolve(`${registry.host}/${repository}:v1`)).descriptor).toEqual(target);
    }
  });

  test("are asked for again after the callback failed", async () => {
    await using registry = await fakeRegistry(sendManifest);
    const failure = new Error("keyring locked");
    let calls = 0;
    await using resolver = testResolver({
      credentials: async () => {
        calls += 1;
        if (calls === 1) throw failure;
        return undefined;
      },
    });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toBe(failure);
    await resolver.resolve(`${registry.host}/lib/app:v1`);
  });
});

describe("tokens from elsewhere", () => {
  // A6
  test("an identity token is exchanged by POST, and replaced by the new one that comes back", async () => {
    await using registry = await tokenRegistry({
      token: (seen, response) => {
        const scope = new URLSearchParams(seen.body.toString()).get("scope") ?? "";
        sendJson(response, { access_token: scope.includes("push") ? "t2" : "t1", refresh_token: "id-2" });
      },
      accepts: (token) => token === "t1" || token === "t2",
      more: "",
    });
    await using resolver = testResolver({ credentials: async () => ({ identityToken: "id-1" }) });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    const push = resolver.pusher(`${registry.host}/lib/app`).push(target, { body: manifestBody, tags: ["v1"] });
    expect(await push).toBe("exists");
    const forms = tokenCalls(registry).map(({ body: form }) => new URLSearchParams(form.toString()));
    expect(forms.map((form) => [form.get("grant_type"), form.get("refresh_token"), form.get("scope")])).toEqual([
      ["refresh_token", "id-1", pullScope],
      ["refresh_token", "id-2", "repository:lib/app:pull,push"],
    ]);
  });

  // A7
  test("a registry token is sent as it is, and no token server is asked", async () => {
    await using registry = await tokenRegistry({ accepts: (token) => token === "ready" });
    await using resolver = testResolver({ credentials: async () => ({ registryToken: "ready" }) });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(registry.log()).toEqual([`HEAD ${tagPath}`]);
    await using wrong = testResolver({ credentials: async () => ({ registryToken: "other" }) });
    await expect(wrong.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_UNAUTHENTICATED" });
    expect(tokenCalls(registry)).toEqual([]);
  });
});
