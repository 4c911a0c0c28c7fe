import { basicAuthentication, passwordList, tokenAuthentication } from "@varve/registry-server";
import type { AccessRequest, Authenticate } from "@varve/registry-server";
import { digestOf } from "@varve/digest";
import { describe, expect, test } from "vitest";
import { codeOf, startServer } from "./harness.ts";

const digest = digestOf("x");

function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

describe("what is asked of whoever decides", () => {
  test.each([
    ["GET", "", undefined, "pull"],
    ["GET", "_catalog", undefined, "catalog"],
    ["GET", "a/tags/list", "a", "pull"],
    ["GET", "a/manifests/v1", "a", "pull"],
    ["HEAD", `a/blobs/${digest}`, "a", "pull"],
    ["GET", `a/referrers/${digest}`, "a", "pull"],
    ["POST", "a/blobs/uploads/", "a", "push"],
    ["PATCH", "a/blobs/uploads/00000000-0000-0000-0000-000000000000", "a", "push"],
    ["GET", "a/blobs/uploads/00000000-0000-0000-0000-000000000000", "a", "push"],
    ["DELETE", "a/blobs/uploads/00000000-0000-0000-0000-000000000000", "a", "push"],
    ["PUT", "a/manifests/v1", "a", "push"],
    ["DELETE", "a/manifests/v1", "a", "delete"],
    ["DELETE", `a/blobs/${digest}`, "a", "delete"],
    ["OPTIONS", "a/manifests/v1", "a", "push"],
  ])("%s %s is about %s and %s, and is refused before anything is done", async (method, path, repository, action) => {
    const asked: AccessRequest[] = [];
    const authenticate: Authenticate = async (request) => {
      asked.push(request);
      return "deny";
    };
    await using registry = await startServer({ authenticate });
    const answer = await registry.ask(method, path, { headers: { authorization: "something" } });
    expect(answer.status).toBe(403);
    expect(method === "HEAD" ? "DENIED" : await codeOf(answer)).toBe("DENIED");
    expect(asked).toEqual([{ authorization: "something", repository, action }]);
    expect(registry.content.ingests.size).toBe(0);
  });

  test("whoever decides may fail, and the answer says nothing of it", async () => {
    const failure = new Error("database with the password planted-secret-2 is gone");
    await using registry = await startServer({ authenticate: async () => Promise.reject(failure) });
    const answer = await registry.ask("GET", "");
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("planted-secret-2");
    expect(registry.records[0]?.error).toBe(failure);
  });
});

function authorize(user: string, { action }: AccessRequest): boolean {
  return user === "writer" || action === "pull";
}

describe("names and passwords", () => {
  const verify = passwordList({ reader: "r:e a d", writer: "wörter" });

  // A1, A11
  test("are asked for, and decide what may be done", async () => {
    await using registry = await startServer({
      authenticate: basicAuthentication({ verify, authorize, realm: 'my "r"' }),
    });
    const asked = await registry.ask("GET", "");
    expect([asked.status, await codeOf(asked)]).toEqual([401, "UNAUTHORIZED"]);
    expect(asked.headers.get("www-authenticate")).toBe(String.raw`Basic realm="my \"r\"", charset="UTF-8"`);
    expect((await registry.ask("GET", "", { headers: basic("reader", "r:e a d") })).status).toBe(200);
    const push = (headers: Record<string, string>): Promise<Response> =>
      registry.ask("POST", "a/blobs/uploads/", { headers });
    expect((await push(basic("reader", "r:e a d"))).status).toBe(403);
    expect((await push(basic("writer", "wörter"))).status).toBe(202);
  });

  test.each([
    ["another password", basic("reader", "wrong")],
    ["the password of somebody else", basic("reader", "wörter")],
    ["an unknown user", basic("nobody", "")],
    ["a name of every object", basic("constructor", "function Object() { [native code] }")],
    ["no colon", { authorization: `Basic ${Buffer.from("reader").toString("base64")}` }],
    ["no base64", { authorization: "Basic §" }],
    ["another scheme", { authorization: "Bearer abc" }],
    ["something huge", basic("reader", "x".repeat(10_000))],
  ])("%s is no password", async (_, headers) => {
    const judge = basicAuthentication({ verify });
    await expect(judge({ authorization: headers.authorization, action: "pull" })).resolves.toEqual({
      challenge: 'Basic realm="registry", charset="UTF-8"',
    });
  });
});

describe("tokens", () => {
  const authenticate = tokenAuthentication({
    realm: "https://auth.example/token",
    service: "registry.example",
    verify: (token, { action }) => {
      if (token === "writer") return "allow";
      if (token === "banned") return "deny";
      if (token !== "reader") return "invalid";
      return action === "pull" ? "allow" : "insufficient";
    },
  });
  const start = 'Bearer realm="https://auth.example/token",service="registry.example"';

  // A2, A10
  test.each([
    [undefined, "GET", "", start],
    [undefined, "GET", "_catalog", `${start},scope="registry:catalog:*"`],
    [undefined, "GET", "a/b/tags/list", `${start},scope="repository:a/b:pull"`],
    ["expired", "GET", "a/b/tags/list", `${start},scope="repository:a/b:pull",error="invalid_token"`],
    ["reader", "PUT", "a/b/manifests/v1", `${start},scope="repository:a/b:pull,push",error="insufficient_scope"`],
    ["reader", "DELETE", "a/b/manifests/v1", `${start},scope="repository:a/b:delete",error="insufficient_scope"`],
  ])(
    "with the token %s, %s %s is answered with a challenge that says what to ask for",
    async (token, method, path, challenge) => {
      await using registry = await startServer({ authenticate });
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const answer = await registry.ask(method, path, { headers });
      expect([answer.status, await codeOf(answer)]).toEqual([401, "UNAUTHORIZED"]);
      expect(answer.headers.get("www-authenticate")).toBe(challenge);
    },
  );

  test("decide what may be done", async () => {
    await using registry = await startServer({ authenticate });
    const ask = async (token: string, method: string, path: string): Promise<number> =>
      (await registry.ask(method, path, { headers: { authorization: `bearer ${token}` } })).status;
    expect(await ask("reader", "GET", "")).toBe(200);
    expect(await ask("writer", "POST", "a/blobs/uploads/")).toBe(202);
    expect(await ask("banned", "GET", "")).toBe(403);
  });
});

test("no secret is in a record or an answer", async () => {
  const secret = "planted-secret-1";
  const authenticates = [
    basicAuthentication({ verify: passwordList({ user: secret }), authorize: () => false }),
    tokenAuthentication({ realm: "https://auth.example", service: "s", verify: () => "invalid" }),
  ];
  for (const authenticate of authenticates) {
    await using registry = await startServer({ authenticate });
    const told: string[] = [];
    for (const headers of [basic("user", secret), { authorization: `Bearer ${secret}` }]) {
      const answer = await registry.ask("GET", `a/tags/list?token=${secret}`, { headers });
      told.push(await answer.text(), JSON.stringify([...answer.headers]));
    }
    const all = `${told.join(" ")}${JSON.stringify(registry.records)}`;
    expect(all).not.toContain(secret);
    expect(all).not.toContain(Buffer.from(`user:${secret}`).toString("base64"));
  }
});
