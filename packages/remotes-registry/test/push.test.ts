import { digestOf } from "@varve/digest";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import type { FakeRegistry, Script } from "./fake-registry.ts";
import { blob, blobPath, layer, testResolver } from "./fixtures.ts";
import { makeAuthority } from "./http-certificates.ts";
import { until } from "./http-raw-server.ts";

const uploads = "/v2/lib/app/blobs/uploads/";

/** Yields a buffer in pieces. */
function bodyOf(bytes: Buffer): { readonly body: () => AsyncGenerator<Uint8Array> } {
  return {
    async *body(this: void) {
      for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
    },
  };
}

/** A registry that has nothing; `put` answers the PUT of a blob. */
function emptyRegistry(put: Script, location = `${uploads}1?_state=a%2Bb`): Promise<FakeRegistry> {
  return fakeRegistry((seen, response) => {
    if (seen.method === "HEAD") return send(response, 404);
    if (seen.method === "POST") return send(response, 202, { location });
    return put(seen, response);
  });
}

async function credentials(): Promise<{ username: string; password: string }> {
  return { username: "a", password: "bcde" };
}

// Absent where there is no openssl.
const authority = makeAuthority("push");

const created: Script = (_seen, response) => send(response, 201);

describe("a blob", () => {
  // P1, P12
  test("that the registry has is not sent", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 200));
    await using resolver = testResolver();
    expect(await resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob))).toBe("exists");
    expect(registry.log()).toEqual([`HEAD ${blobPath}`]);
  });

  // P4, P3
  test("is sent in one piece to the address that the registry gives, its query kept", async () => {
    await using registry = await emptyRegistry(created);
    await using resolver = testResolver();
    expect(await resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob))).toBe("sent");
    const digest = encodeURIComponent(layer.digest);
    expect(registry.log()).toEqual([
      `HEAD ${blobPath}`,
      `POST ${uploads}`,
      `PUT ${uploads}1?_state=a%2Bb&digest=${digest}`,
    ]);
    expect(registry.seen[2]?.body).toEqual(blob);
    expect(registry.seen[2]?.headers["content-length"]).toBe(String(blob.byteLength));
  });

  // P7
  test.each([200, 201, 202, 204])("counts as stored when the answer is %i", async (status) => {
    await using registry = await emptyRegistry((_seen, response) => send(response, status));
    await using resolver = testResolver();
    expect(await resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob))).toBe("sent");
  });

  // P3, U-PSH.5
  test("goes to another host without our credentials", async () => {
    await using storage = await fakeRegistry(created);
    await using registry = await emptyRegistry(created, `${storage.url}/put`);
    await using resolver = testResolver({
      credentials: async () => ({ registryToken: "top-secret" }),
      headers: { "x-k": "1" },
    });
    await resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob));
    expect(storage.log()).toEqual([`PUT /put?digest=${encodeURIComponent(layer.digest)}`]);
    expect(storage.seen[0]?.headers).not.toHaveProperty("authorization");
    expect(storage.seen[0]?.headers).not.toHaveProperty("x-k");
    expect(registry.seen[1]?.headers.authorization).toBe("Bearer top-secret");
  });

  // P3, D4
  test("that another host wants a login for gets none of ours, and asks no token server in our name", async () => {
    await using storage = await fakeRegistry((seen, response) => {
      send(response, 401, { "www-authenticate": `Bearer realm="http://${seen.headers.host}/token"` });
    });
    await using registry = await emptyRegistry(created, `${storage.url}/put`);
    await using resolver = testResolver({ credentials });
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob));
    await expect(pushing).rejects.toMatchObject({ code: "ERR_UNAUTHENTICATED" });
    expect(storage.log()).toEqual([`PUT /put?digest=${encodeURIComponent(layer.digest)}`, "DELETE /put"]);
    expect(storage.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  // P3: a proxy that ends TLS, in front of a registry that does not know
  test.skipIf(authority === undefined)("goes on by https where the registry names its own host by http", async () => {
    await using registry = await fakeRegistry(
      (seen, response) => {
        if (seen.method === "HEAD") return send(response, 404);
        const host = String(seen.headers.host).replace(/:\d+$/, "");
        if (seen.method === "POST") return send(response, 202, { location: `http://${host}${uploads}1?a=%2F'` });
        return send(response, 201);
      },
      { tls: authority?.issue("IP:127.0.0.1") },
    );
    const trusted = authority === undefined ? [] : [authority.certificate];
    await using resolver = testResolver({ plainHttp: false, certificateAuthorities: trusted, credentials });
    expect(await resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob))).toBe("sent");
    expect(registry.log().at(-1)).toContain(`PUT ${uploads}1?a=%2F%27&digest=`);
  });

  // P3
  test.skipIf(authority === undefined)("never leaves by http where the registry is asked by https", async () => {
    await using storage = await fakeRegistry(created);
    await using registry = await fakeRegistry(
      (seen, response) => send(response, seen.method === "POST" ? 202 : 404, { location: `${storage.url}/put` }),
      { tls: authority?.issue("IP:127.0.0.1") },
    );
    const trusted = authority === undefined ? [] : [authority.certificate];
    await using resolver = testResolver({ plainHttp: false, certificateAuthorities: trusted });
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob));
    await expect(pushing).rejects.toMatchObject({ code: "ERR_PERMISSION_DENIED" });
    expect(storage.seen).toEqual([]);
  });

  // P4, U-PSH.3, C-PSH.2
  test("whose upload fails is sent again from the first byte, with a new upload", async () => {
    let puts = 0;
    await using registry = await emptyRegistry((seen, response) => {
      if (seen.method !== "PUT") return send(response, 404);
      puts += 1;
      if (puts === 1) response.destroy();
      else send(response, puts === 2 ? 503 : 201);
      return undefined;
    });
    await using resolver = testResolver();
    expect(await resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob))).toBe("sent");
    expect(registry.log().filter((line) => line.startsWith("POST"))).toHaveLength(3);
    expect(registry.seen.at(-1)?.body).toEqual(blob);
  });

  // P4
  test("is sent again after the registry asked for a login in the middle", async () => {
    await using registry = await emptyRegistry((seen, response) => {
      const login = seen.headers.authorization !== undefined;
      send(response, login ? 201 : 401, { "www-authenticate": "Basic realm=x" });
    });
    await using resolver = testResolver({ credentials });
    expect(await resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob))).toBe("sent");
    expect(registry.seen.at(-1)?.body).toEqual(blob);
  });

  // P11
  test.each([
    [413, "SIZE_INVALID", "ERR_RESOURCE_EXHAUSTED"],
    [507, "UNKNOWN", "ERR_RESOURCE_EXHAUSTED"],
    [412, "PRECONDITION", "ERR_FAILED_PRECONDITION"],
    [403, "DENIED", "ERR_PERMISSION_DENIED"],
    [400, "DIGEST_INVALID", "ERR_INVALID_ARGUMENT"],
  ])("that is refused with %i fails with the reason", async (status, code, expected) => {
    await using registry = await emptyRegistry((_seen, response) => sendError(response, status, code, "because"));
    await using resolver = testResolver();
    await expect(resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob))).rejects.toMatchObject({
      code: expected,
      message: expect.stringContaining(`${status}`),
    });
  });

  test("that is not what its descriptor says is not finished", async () => {
    await using registry = await emptyRegistry(created);
    await using resolver = testResolver();
    const wrong = Buffer.alloc(blob.byteLength);
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(wrong));
    await expect(pushing).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
    expect(registry.log().filter((line) => line.startsWith("PUT"))).toEqual([]);
  });

  // U-PSH.4
  test("that the registry stores under another name is a mismatch", async () => {
    await using registry = await emptyRegistry((_seen, response) => {
      send(response, 201, { "docker-content-digest": digestOf("other") });
    });
    await using resolver = testResolver();
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob));
    await expect(pushing).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  test("without an address to go to is the registry's fault", async () => {
    await using registry = await emptyRegistry(created, "");
    await using resolver = testResolver();
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, bodyOf(blob));
    await expect(pushing).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  // P8, N15
  test("that is aborted does not wait for a registry that says nothing any more", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    await using registry = await emptyRegistry(() => stop.abort(reason));
    await using resolver = testResolver();
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, { ...bodyOf(blob), signal: stop.signal });
    await expect(pushing).rejects.toBe(reason);
    await until(() => registry.log().at(-1) === `DELETE ${uploads}1?_state=a%2Bb`);
  });

  // P8
  test("that is aborted drops its upload and rejects with the reason", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    await using registry = await emptyRegistry((seen, response) => {
      if (seen.method === "DELETE") send(response, 204);
    });
    await using resolver = testResolver();
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield blob.subarray(0, 1000);
      stop.abort(reason);
      yield blob.subarray(1000);
    };
    const pushing = resolver.pusher(`${registry.host}/lib/app`).push(layer, { body, signal: stop.signal });
    await expect(pushing).rejects.toBe(reason);
    expect(registry.log()).toContain(`DELETE ${uploads}1?_state=a%2Bb`);
  });
});
