import type { Credentials } from "@varve/remotes-registry";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import { errorOf, layer, sendManifest, target, testResolver } from "./fixtures.ts";
import { pullScope, sendJson, tokenCalls, tokenRegistry } from "./token-registry.ts";

const user: Credentials = { username: "ann", password: "planted-secret-1" };
const basic = `Basic ${Buffer.from("ann:planted-secret-1").toString("base64")}`;

function scopesOf(path: string): string[] {
  return new URL(path, "http://x").searchParams.getAll("scope");
}

describe("a token server", () => {
  // A2, A12: GitLab
  test("may be on another host: it gets the login, and the registry the token", async () => {
    await using tokens = await fakeRegistry((_seen, response) => sendJson(response, { token: "t1" }), {
      name: "localhost",
    });
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === "Bearer t1") sendManifest(seen, response);
      else send(response, 401, { "www-authenticate": `Bearer realm="${tokens.url}/jwt/auth",service="x"` });
    });
    await using resolver = testResolver({ credentials: async () => user });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(tokens.seen.map(({ headers }) => headers.authorization)).toEqual([basic]);
    expect(registry.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, "Bearer t1"]);
  });

  // A5: GCR, Artifactory, ACR, and those that allow no POST
  test.each([404, 401, 400, 405])("that answers a POST with %i is asked by GET with Basic", async (status) => {
    await using registry = await tokenRegistry({
      token: (seen, response) => {
        if (seen.method !== "GET") send(response, status);
        else if (seen.headers.authorization === basic) sendJson(response, { token: "t1" });
        else send(response, 401);
      },
    });
    await using resolver = testResolver({ credentials: async () => user });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(tokenCalls(registry).map(({ method }) => method)).toEqual(["GET"]);
  });

  // U-AUTH.2, A13: what the token server does not have says nothing of the image
  test.each([400, 401, 404, 405, 410])(
    "that answers everything with %i is no sign that the image is not there",
    async (status) => {
      await using registry = await tokenRegistry({
        token: (_seen, response) => sendError(response, status, "UNKNOWN", "not found"),
      });
      await using resolver = testResolver({ credentials: async () => ({ ...user, source: "a file" }) });
      await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
        code: "ERR_UNAUTHENTICATED",
        message: expect.stringContaining(`${status}`),
      });
      const failure = await errorOf(resolver.resolve(`${registry.host}/lib/app:v1`));
      expect(failure).toMatchObject({ message: expect.stringMatching(/ \(asked with the credentials from a file\)$/) });
    },
  );

  test("that refuses access is told of with the source of the credentials", async () => {
    await using registry = await tokenRegistry({
      token: (_seen, response) => sendError(response, 403, "DENIED", "no"),
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: `GET ${registry.url}/token?…: 403 Forbidden: DENIED: no (asked without credentials)`,
    });
  });

  // A14
  test("that repeats what it got is quoted without the secrets, in whichever form", async () => {
    const secret = 'planted-secret "ü"/+&=';
    await using registry = await tokenRegistry({
      token: (seen, response) => {
        if (seen.method === "GET") send(response, 405);
        else sendError(response, 401, "DENIED", `${seen.body.toString()} ${secret} ${JSON.stringify(secret)}`);
      },
    });
    await using resolver = testResolver({ credentials: async () => ({ username: "ann", password: secret }) });
    const failure = await errorOf(resolver.resolve(`${registry.host}/lib/app:v1`));
    expect(failure).toMatchObject({ code: "ERR_UNAUTHENTICATED", message: expect.stringContaining("password=…") });
    expect(String(failure)).not.toContain("planted");
  });

  test("that gives a token too long for a header is refused", async () => {
    await using registry = await tokenRegistry({
      token: (_seen, response) => sendJson(response, { token: "x".repeat(70_000) }),
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  test("may leave one field empty", async () => {
    await using registry = await tokenRegistry({
      token: (_seen, response) => sendJson(response, { token: "", access_token: "t1" }),
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
  });
});

describe("what a registry wants", () => {
  // A3, C-RES.13
  test.each([
    ['Bearer service="x", Basic realm="x"'],
    ['Basic realm="x", Bearer error="y"'],
    ['Negotiate, Digest realm="a", nonce="b", Basic realm="c", Bearer realm="http://["'],
  ])("is met with Basic where nothing else of it can be: %s", async (challenge) => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === basic) sendManifest(seen, response);
      else send(response, 401, { "www-authenticate": challenge });
    });
    await using resolver = testResolver({ credentials: async () => user });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
  });

  // U-AUTH.1
  test.each(["Basic, BEARER", "BEARER, Basic"])("is met with a token where it may be: %s", async (offers) => {
    await using registry = await fakeRegistry((seen, response) => {
      const bearer = `Bearer realm="http://${seen.headers.host}/token"`;
      if (seen.path.startsWith("/token")) sendJson(response, { token: "t1" });
      else if (seen.headers.authorization === "Bearer t1") sendManifest(seen, response);
      else send(response, 401, { "www-authenticate": offers.replace("BEARER", bearer) });
    });
    await using resolver = testResolver({ credentials: async () => user });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(tokenCalls(registry)).toHaveLength(1);
  });

  test("and we do not know is named", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 401, { "www-authenticate": 'Digest realm="a", nonce="b", Negotiate' });
    });
    await using resolver = testResolver({ credentials: async () => user });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NOT_IMPLEMENTED",
      message: `registry ${registry.host}: wants a login by digest, negotiate`,
    });
  });

  // A11
  test("is a password, where there is only a token", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 401, { "www-authenticate": "Basic realm=x" });
    });
    await using resolver = testResolver({
      credentials: async () => ({ identityToken: "planted-secret-id", source: "docker-credential-x" }),
    });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_UNAUTHENTICATED",
      message: `registry ${registry.host}: not logged in: it wants a user and a password; asked with the credentials from docker-credential-x: a token`,
    });
  });

  // A10, P2
  test("for a mount is permission to pull from the other repository as well", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const challenge = `Bearer realm="http://${seen.headers.host}/token"`;
      if (seen.path.startsWith("/token")) sendJson(response, { token: "t1" });
      else if (seen.headers.authorization === undefined) send(response, 401, { "www-authenticate": challenge });
      else send(response, seen.method === "POST" ? 201 : 404, { location: seen.path });
    });
    await using resolver = testResolver();
    const pusher = resolver.pusher(`${registry.host}/lib/app`);
    expect(await pusher.push(layer, { body: nothing, mountFrom: ["other/base"] })).toBe("mounted");
    expect(tokenCalls(registry).map(({ path }) => scopesOf(path))).toContainEqual([
      "repository:lib/app:pull,push",
      "repository:other/base:pull",
    ]);
  });

  // A10
  test("one after the other is all asked for together, what is new first", async () => {
    const wanted = ["repository:a:pull", "repository:b:pull"];
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.startsWith("/token"))
        return sendJson(response, { token: scopesOf(seen.path).join("+").replaceAll(" ", "") });
      const sent = seen.headers.authorization ?? "";
      const missing = wanted.find((scope) => !sent.includes(scope));
      if (missing === undefined) return sendManifest(seen, response);
      const realm = `http://${seen.headers.host}/token`;
      return send(response, 401, {
        "www-authenticate": `Bearer realm="${realm}",scope="${missing}",error="insufficient_scope"`,
      });
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(tokenCalls(registry).map(({ path }) => scopesOf(path))).toEqual([
      ["repository:a:pull", pullScope],
      ["repository:b:pull", pullScope, "repository:a:pull"],
    ]);
  });

  test("without measure is cut short", async () => {
    const many = Array.from({ length: 1000 }, (_, index) => `repository:r${index}:pull`).join(" ");
    await using registry = await tokenRegistry({ more: `,scope="${"x".repeat(600)} ${many.slice(0, 9000)}"` });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    const scopes = scopesOf(tokenCalls(registry)[0]?.path ?? "");
    expect(scopes).toHaveLength(17);
    expect(scopes.filter((scope) => scope.length > 512)).toEqual([]);
    expect(scopes).toContain(pullScope);
  });

  // C-RES.11, U-AUTH.4
  test("is one scope for each repository, its actions sorted", async () => {
    await using registry = await tokenRegistry({
      more: ',scope="repository:lib/app:push,pull repository:lib/app:delete"',
    });
    await using resolver = testResolver();
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(scopesOf(tokenCalls(registry)[0]?.path ?? "")).toEqual(["repository:lib/app:delete,pull,push"]);
  });
});

// A13
describe("a refusal says how was asked", () => {
  test.each([403, 404])("with status %i behind a login it may be either", async (status) => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === basic) send(response, status);
      else send(response, 401, { "www-authenticate": "Basic realm=x" });
    });
    const source = "/home/ann/.docker/config.json";
    await using resolver = testResolver({ credentials: async () => ({ ...user, source }) });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: status === 403 ? "ERR_PERMISSION_DENIED" : "ERR_NOT_FOUND",
      message: expect.stringMatching(
        /: not found or no access, asked with the credentials from \/home\/ann\/\.docker\/config\.json\)$|\(not found or no access, asked with the credentials from \/home\/ann\/\.docker\/config\.json\)$/,
      ),
    });
  });

  test("and a 404 of a registry that asks nobody says no more than that", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 404));
    await using resolver = testResolver({ credentials: async () => user });
    const failure = await errorOf(resolver.resolve(`${registry.host}/lib/app:v1`));
    expect(failure).toMatchObject({ code: "ERR_NOT_FOUND", message: expect.not.stringContaining("access") });
  });

  // N05
  test("403 after 401 is no loop", async () => {
    await using registry = await tokenRegistry({ accepts: () => false });
    await using strict = await fakeRegistry((seen, response) => {
      if (seen.headers.authorization === undefined) {
        const realm = `${registry.url}/token`;
        send(response, 401, { "www-authenticate": `Bearer realm="${realm}"` });
      } else sendError(response, 403, "DENIED", `never with ${seen.headers.authorization}`);
    });
    await using resolver = testResolver();
    await expect(resolver.resolve(`${strict.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_PERMISSION_DENIED",
      message: expect.stringContaining("(not found or no access, asked without credentials)"),
    });
    expect(tokenCalls(registry)).toHaveLength(1);
  });
});

function nothing(): never {
  throw new Error("nothing is to be sent");
}
