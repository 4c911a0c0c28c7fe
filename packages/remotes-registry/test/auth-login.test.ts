import { verifyLogin } from "@varve/remotes-registry";
import type { Credentials } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import { errorOf } from "./fixtures.ts";
import { until } from "./http-raw-server.ts";
import { sendJson } from "./token-registry.ts";

const user: Credentials = { username: "ann", password: "planted-secret-1", source: "the prompt" };
const basic = `Basic ${Buffer.from("ann:planted-secret-1").toString("base64")}`;
const plain = { plainHttp: true, retryDelay: 1 };

describe("a login is tried", () => {
  test("with Basic, at the root and nowhere else", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === basic) send(response, 200, {}, "{}");
      else send(response, 401, { "www-authenticate": "Basic realm=x" });
    });
    expect(await verifyLogin(registry.host, user, plain)).toEqual({ scheme: "basic" });
    expect(registry.log()).toEqual(["GET /v2/", "GET /v2/"]);
    await until(() => registry.sockets.size === 0);
    await expect(
      verifyLogin(registry.host, { username: "bob", password: "planted-secret-2" }, plain),
    ).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: `GET ${registry.url}/v2/: 401 Unauthorized (asked with the credentials for ${registry.host})`,
    });
  });

  test("with a token for no repository, and an identity token is given back", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.startsWith("/token")) {
        if (seen.headers.authorization !== basic) sendError(response, 401, "UNAUTHORIZED", "wrong planted-secret-2");
        else sendJson(response, { token: "t1", refresh_token: "planted-secret-id" });
      } else if (seen.headers.authorization === "Bearer t1") send(response, 200);
      else
        send(response, 401, { "www-authenticate": `Bearer realm="http://${seen.headers.host}/token",service="reg"` });
    });
    expect(await verifyLogin(registry.host, user, plain)).toEqual({
      scheme: "bearer",
      identityToken: "planted-secret-id",
    });
    expect(registry.log()).toEqual([
      "GET /v2/",
      "GET /token?service=reg&offline_token=true&client_id=varve",
      "GET /v2/",
    ]);
    const failure = await errorOf(verifyLogin(registry.host, { username: "ann", password: "planted-secret-2" }, plain));
    expect(failure).toMatchObject({ code: "ERR_UNAUTHENTICATED", message: expect.stringContaining("wrong …") });
  });

  test.each([user, { registryToken: "planted-secret-reg" }, { identityToken: "planted-secret-id" }])(
    "and %# where nobody is asked proves nothing",
    async (credentials) => {
      await using registry = await fakeRegistry((_seen, response) => send(response, 200));
      expect(await verifyLogin(registry.host, credentials, plain)).toEqual({ scheme: "none" });
    },
  );

  // A7
  test("with a registry token", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === "Bearer planted-secret-reg") send(response, 200);
      else send(response, 401, { "www-authenticate": "Basic realm=x" });
    });
    expect(await verifyLogin(registry.host, { registryToken: "planted-secret-reg" }, plain)).toMatchObject({
      scheme: "bearer",
    });
    await expect(verifyLogin(registry.host, { registryToken: "planted-secret-2" }, plain)).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
    });
  });

  // A6
  test("with an identity token", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const form = new URLSearchParams(seen.body.toString());
      if (seen.path === "/token") {
        if (form.get("refresh_token") === "planted-secret-id") sendJson(response, { access_token: "t1" });
        else send(response, 400);
      } else if (seen.headers.authorization === "Bearer t1") send(response, 200);
      else send(response, 401, { "www-authenticate": `Bearer realm="http://${seen.headers.host}/token"` });
    });
    expect(await verifyLogin(registry.host, { identityToken: "planted-secret-id" }, plain)).toEqual({
      scheme: "bearer",
    });
    const wrong = verifyLogin(registry.host, { identityToken: "planted-secret-2" }, plain);
    await expect(wrong).rejects.toMatchObject({ code: "ERR_UNAUTHENTICATED" });
  });

  test("is refused by a 403 as well", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === undefined) send(response, 401, { "www-authenticate": "Basic realm=x" });
      else send(response, 403);
    });
    await expect(verifyLogin(registry.host, user, plain)).rejects.toMatchObject({ code: "ERR_UNAUTHENTICATED" });
  });

  test("is no refusal when the registry is no registry, or is down", async () => {
    let status = 404;
    await using registry = await fakeRegistry((_seen, response) => send(response, status));
    await expect(verifyLogin(registry.host, user, plain)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    status = 503;
    const down = verifyLogin(registry.host, user, { ...plain, retries: 1 });
    await expect(down).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.seen).toHaveLength(3);
  });

  // N4
  test("by http on loopback without being told", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 200));
    expect(await verifyLogin(registry.host, user)).toEqual({ scheme: "none" });
  });

  test("at the registry itself, whichever mirrors it has, with its own settings", async () => {
    await using mirror = await fakeRegistry((_seen, response) => send(response, 200));
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers["x-own"] === "1") send(response, 200);
      else send(response, 404);
    });
    const endpoints = async (): Promise<{ url: string; headers?: Record<string, string> }[]> => [
      { url: mirror.url },
      { url: registry.url, headers: { "X-Own": "1" } },
    ];
    expect(await verifyLogin(registry.host, user, { ...plain, endpoints })).toEqual({ scheme: "none" });
    expect(mirror.seen).toEqual([]);
  });

  test.each(["", "a/b", "https://registry.example", "a b", "user@registry.example", "registry.example?x"])(
    "at %j is refused: it is no host",
    async (host) => {
      await expect(verifyLogin(host, user)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    },
  );

  test("until the caller gives up", async () => {
    await using registry = await fakeRegistry(() => undefined);
    const stop = new AbortController();
    const reason = new Error("enough");
    const refused = errorOf(verifyLogin(registry.host, user, { ...plain, signal: stop.signal }));
    await until(() => registry.seen.length === 1);
    stop.abort(reason);
    expect(await refused).toBe(reason);
    const late = verifyLogin(registry.host, user, { ...plain, signal: AbortSignal.abort(reason) });
    await expect(late).rejects.toBe(reason);
  });
});
