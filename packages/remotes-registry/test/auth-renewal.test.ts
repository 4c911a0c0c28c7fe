import type { Credentials } from "@varve/remotes-registry";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fakeRegistry, send, sendBlob } from "./fake-registry.ts";
import { blob, blobPath, errorOf, fetchLayer, sendManifest, target, testResolver } from "./fixtures.ts";
import { sendJson, tokenCalls, tokenRegistry } from "./token-registry.ts";

const user: Credentials = { username: "ann", password: "planted-secret-1" };
const basic = `Basic ${Buffer.from("ann:planted-secret-1").toString("base64")}`;

function later(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000);
}

describe("time", () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => vi.useRealTimers());

  // A8
  test.each([
    [{}, 50, 1],
    [{}, 61, 2],
    [{ expires_in: 5 }, 50, 1],
    [{ expires_in: 0 }, 50, 1],
    [{ expires_in: -1 }, 50, 1],
    [{ expires_in: "600" }, 500, 1],
    [{ expires_in: "nonsense" }, 50, 1],
    [{ expires_in: 600 }, 500, 1],
    // Before it ends.
    [{ expires_in: 600 }, 590, 2],
  ])("a token with %j serves after %i seconds: %i calls", async (fields, seconds, calls) => {
    await using registry = await tokenRegistry({
      token: (_seen, response) => sendJson(response, { token: "t1", ...fields }),
    });
    await using resolver = testResolver();
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    later(seconds);
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(tokenCalls(registry)).toHaveLength(calls);
    expect(registry.log().filter((line) => line.startsWith("HEAD"))).toHaveLength(3);
  });

  // A8, N05
  test("a token that still holds is used when its server is down", async () => {
    let down = false;
    await using registry = await tokenRegistry({
      token: (_seen, response) => (down ? send(response, 503) : sendJson(response, { token: "t1", expires_in: 600 })),
    });
    await using resolver = testResolver({ retries: 1 });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    down = true;
    later(590);
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    later(20);
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_NETWORK" });
  });

  // G-21: passwords of cloud registries end after hours
  test.each(["Basic realm=x", "Bearer"])(
    "credentials that are refused later are asked for again (%s)",
    async (scheme) => {
      const valid = { username: "ann", password: "planted-secret-1" };
      let [password, calls] = ["planted-secret-1", 0];
      const isRight = (header: string | undefined): boolean =>
        header === `Basic ${Buffer.from(`ann:${password}`).toString("base64")}`;
      await using registry = await fakeRegistry((seen, response) => {
        const challenge = scheme === "Bearer" ? `Bearer realm="http://${seen.headers.host}/token"` : scheme;
        if (seen.path.startsWith("/token")) {
          if (isRight(seen.headers.authorization)) sendJson(response, { token: password });
          else send(response, 401);
        } else if (seen.headers.authorization === `Bearer ${password}` || isRight(seen.headers.authorization)) {
          sendManifest(seen, response);
        } else send(response, 401, { "www-authenticate": challenge });
      });
      await using resolver = testResolver({
        credentials: async () => {
          calls += 1;
          return { ...valid, password: calls === 1 ? "planted-secret-1" : "planted-secret-2" };
        },
      });
      await resolver.resolve(`${registry.host}/lib/app:v1`);
      password = "planted-secret-2";
      later(3600);
      expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
      expect(calls).toBe(2);
      password = "planted-secret-3";
      later(3600);
      const failure = await errorOf(resolver.resolve(`${registry.host}/lib/app:v1`));
      expect(failure).toMatchObject({ code: "ERR_UNAUTHENTICATED" });
      // The same again: not worth another try; and not asked for on each request.
      await resolver.resolve(`${registry.host}/lib/app:v1`).catch(() => undefined);
      expect(calls).toBe(3);
    },
  );
});

describe("a pull that goes on", () => {
  // U-AUTH.3
  test.each([
    [',error="invalid_token"', 2, undefined],
    ["", 1, "ERR_UNAUTHENTICATED"],
  ])("tries a new token once where the registry says that this one is not valid%s", async (more, calls, code) => {
    let given = 0;
    await using registry = await tokenRegistry({
      token: (_seen, response) => sendJson(response, { token: `t${(given += 1)}` }),
      accepts: (token) => token === "t2",
      more,
    });
    await using resolver = testResolver();
    expect(await codeOf(resolver.resolve(`${registry.host}/lib/app:v1`))).toBe(code);
    expect(tokenCalls(registry)).toHaveLength(calls);
  });

  // A8, N05: a 401 in the middle
  test("gets one new token when the old one ends, and no download fails", async () => {
    let generation = 1;
    const half = blob.byteLength / 2;
    let waiting = 0;
    const all = Promise.withResolvers<void>();
    await using registry = await fakeRegistry(async (seen, response) => {
      if (seen.path.startsWith("/token")) return sendJson(response, { token: `g${generation}`, expires_in: 3600 });
      if (seen.headers.authorization !== `Bearer g${generation}`) {
        return send(response, 401, { "www-authenticate": `Bearer realm="http://${seen.headers.host}/token"` });
      }
      if (seen.path !== blobPath || generation > 1) return sendBlob(seen, response, blob);
      // Each of them breaks off in its middle; then the tokens end.
      response.writeHead(200, { "content-length": String(blob.byteLength) });
      await new Promise((resolve) => response.write(blob.subarray(0, half), resolve));
      waiting += 1;
      if (waiting === 4) all.resolve();
      await all.promise;
      generation = 2;
      return void response.destroy();
    });
    await using resolver = testResolver({ maxConcurrentPerHost: 8 });
    const blobs = await Promise.all([1, 2, 3, 4].map(() => fetchLayer(resolver, registry.host)));
    expect(blobs.every((bytes) => bytes.equals(blob))).toBe(true);
    expect(tokenCalls(registry)).toHaveLength(2);
  });
});

describe("identity tokens", () => {
  // A6
  test("that serve once are used one after the other", async () => {
    let current = 1;
    await using registry = await tokenRegistry({
      token: async (seen, response) => {
        const form = new URLSearchParams(seen.body.toString());
        const isRight = form.get("refresh_token") === `planted-secret-id-${current}`;
        if (isRight) current += 1;
        await new Promise((resolve) => setTimeout(resolve, 10));
        if (!isRight) return send(response, 401);
        return sendJson(response, { access_token: "t1", refresh_token: `planted-secret-id-${current}` });
      },
      more: "",
    });
    const told: string[] = [];
    await using resolver = testResolver({
      credentials: async () => ({ identityToken: "planted-secret-id-1" }),
      onIdentityToken: (host, token) => told.push(`${host === registry.host} ${token}`),
    });
    const names = ["one/app", "two/app", "three/app", "four/app"];
    await Promise.all(names.map((name) => resolver.resolve(`${registry.host}/${name}:v1`)));
    expect(told).toEqual([2, 3, 4, 5].map((count) => `true planted-secret-id-${count}`));
  });

  // C-RES.1: reported once, and usable
  test("are asked for with a password where somebody keeps them", async () => {
    await using registry = await tokenRegistry({
      token: (seen, response) => {
        const query = new URL(seen.path, "http://x").searchParams;
        const form = new URLSearchParams(seen.body.toString());
        if (form.get("refresh_token") === "planted-secret-id") {
          return sendJson(response, { access_token: "t1", refresh_token: "planted-secret-id" });
        }
        const isRight = seen.headers.authorization === basic && query.get("offline_token") === "true";
        return isRight ? sendJson(response, { token: "t1", refresh_token: "planted-secret-id" }) : send(response, 401);
      },
    });
    const told: string[] = [];
    const onIdentityToken = (_host: string, token: string): void => void told.push(token);
    await using resolver = testResolver({ credentials: async () => user, onIdentityToken });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(told).toEqual(["planted-secret-id"]);
    await using next = testResolver({ credentials: async () => ({ identityToken: told[0] ?? "" }), onIdentityToken });
    await next.resolve(`${registry.host}/lib/app:v1`);
    expect(told).toHaveLength(1);
  });

  test("are not asked for otherwise, nor without credentials", async () => {
    await using registry = await tokenRegistry();
    await using one = testResolver({ credentials: async () => user });
    await using two = testResolver({ onIdentityToken: () => undefined });
    for (const resolver of [one, two]) await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(tokenCalls(registry).map(({ path }) => path.includes("offline"))).toEqual([false, false]);
  });
});

describe("credentials", () => {
  // Promise 9, D4, T4
  test("are not asked for on behalf of a host that a registry redirects to", async () => {
    await using storage = await tokenRegistry({ token: (_seen, response) => sendJson(response, { token: "t1" }) });
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.includes("/blobs/")) send(response, 307, { location: `${storage.url}${seen.path}` });
      else sendManifest(seen, response);
    });
    const asked: string[] = [];
    await using resolver = testResolver({
      credentials: async (host) => {
        asked.push(host);
        return user;
      },
    });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(asked).toEqual([registry.host]);
    expect(storage.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined, "Bearer t1"]);
  });

  test("of very many repositories are not all kept", async () => {
    await using registry = await tokenRegistry({ more: "" });
    await using resolver = testResolver();
    const names = Array.from({ length: 300 }, (_, index) => `r${index}/app`);
    for (const name of [...names, names[0] ?? ""]) await resolver.resolve(`${registry.host}/${name}:v1`);
    expect(tokenCalls(registry)).toHaveLength(301);
    await resolver.resolve(`${registry.host}/${names.at(-1) ?? ""}:v1`);
    expect(tokenCalls(registry)).toHaveLength(301);
  });
});

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  const error = await errorOf(promise);
  return error instanceof Error && "code" in error ? error.code : error;
}
