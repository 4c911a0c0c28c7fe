import { createConnection } from "node:net";
import { once } from "node:events";
import { createRegistryServer } from "@varve/registry-server";
import { digestOf } from "@varve/digest";
import { describe, expect, test } from "vitest";
import { fakeContent } from "./fake-content.ts";
import { codeOf, manifestOf, manifestType, startServer } from "./harness.ts";

const bytes = Buffer.from("0123456789".repeat(500));
const digest = digestOf(bytes);

describe("the root", () => {
  test("answers 200 and names the API", async () => {
    await using registry = await startServer();
    const response = await registry.ask("GET", "");
    expect(response.status).toBe(200);
    expect(response.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
    expect(await response.json()).toEqual({});
  });

  test("unknown paths and malformed names are refused without touching the store", async () => {
    await using registry = await startServer();
    const cases: [string, number, string][] = [
      ["a/b/c", 404, "UNSUPPORTED"],
      ["Upper/manifests/latest", 400, "NAME_INVALID"],
      ["a//b/manifests/latest", 400, "NAME_INVALID"],
      ["a/manifests/.hidden", 400, "MANIFEST_INVALID"],
      ["a/manifests/%2e%2e%2fpasswd", 400, "MANIFEST_INVALID"],
      ["a/blobs/sha256:..%2f..%2fetc", 400, "DIGEST_INVALID"],
      [`a/blobs/md5:${"0".repeat(32)}`, 400, "DIGEST_INVALID"],
      ["a/blobs/%zz", 404, "UNSUPPORTED"],
      [`${"a/".repeat(130)}manifests/latest`, 400, "NAME_INVALID"],
      ["a/blobs/uploads/not-ours", 404, "BLOB_UPLOAD_UNKNOWN"],
    ];
    for (const [path, status, code] of cases) {
      const response = await registry.ask("GET", path);
      expect([path, response.status, await codeOf(response)]).toEqual([path, status, code]);
    }
  });

  test("a method that a path does not have is 405", async () => {
    await using registry = await startServer();
    for (const [method, path] of [
      ["POST", ""],
      ["PUT", "a/tags/list"],
      ["PUT", `a/blobs/${digest}`],
      ["POST", `a/referrers/${digest}`],
      ["PATCH", "a/manifests/latest"],
    ] as const) {
      expect((await registry.ask(method, path)).status, `${method} ${path}`).toBe(405);
    }
  });
});

describe("blobs", () => {
  test("GET and HEAD give a blob and its facts", async () => {
    await using registry = await startServer();
    await registry.pushBlob("a", bytes);
    const got = await registry.ask("GET", `a/blobs/${digest}`);
    expect(Buffer.from(await got.arrayBuffer())).toEqual(bytes);
    const head = await registry.ask("HEAD", `a/blobs/${encodeURIComponent(digest)}`);
    for (const response of [got, head]) {
      expect(response.status).toBe(200);
      expect(response.headers.get("content-length")).toBe(String(bytes.byteLength));
      expect(response.headers.get("docker-content-digest")).toBe(digest);
    }
  });

  test.each([
    ["bytes=10-19", 206, "bytes 10-19/5000", "0123456789"],
    ["bytes=4995-", 206, "bytes 4995-4999/5000", "56789"],
    ["bytes=-3", 206, "bytes 4997-4999/5000", "789"],
    ["bytes=4990-9999", 206, "bytes 4990-4999/5000", "0123456789"],
    ["bytes=5000-", 416, "bytes */5000", undefined],
    ["bytes=-0", 416, "bytes */5000", undefined],
    ["bytes=0-1,5-6", 200, null, "all"],
    ["bytes=9-3", 416, "bytes */5000", undefined],
    ["items=0-1", 200, null, "all"],
  ])("range %s is answered with %i", async (range, status, contentRange, body) => {
    await using registry = await startServer();
    await registry.pushBlob("a", bytes);
    const response = await registry.ask("GET", `a/blobs/${digest}`, { headers: { range } });
    expect(response.status).toBe(status);
    expect(response.headers.get("content-range")).toBe(contentRange);
    const text = await response.text();
    expect(text).toBe(body === "all" ? bytes.toString() : (body ?? text));
  });

  test("an unknown blob is 404, also to HEAD", async () => {
    await using registry = await startServer();
    const response = await registry.ask("GET", `a/blobs/${digest}`);
    expect([response.status, await codeOf(response)]).toEqual([404, "BLOB_UNKNOWN"]);
    const head = await registry.ask("HEAD", `a/blobs/${digest}`);
    expect([head.status, await head.text()]).toEqual([404, ""]);
  });
});

describe("tags", () => {
  test("tags are listed in order, by pages with a link to the next", async () => {
    await using registry = await startServer();
    const config = await registry.pushBlob("a/b", bytes);
    const manifest = manifestOf(config, []);
    for (const tag of ["v2", "v10", "latest", "v1"]) {
      const headers = { "content-type": manifestType };
      expect((await registry.ask("PUT", `a/b/manifests/${tag}`, { body: manifest, headers })).status).toBe(201);
    }
    const all = await registry.ask("GET", "a/b/tags/list");
    expect(await all.json()).toEqual({ name: "a/b", tags: ["latest", "v1", "v10", "v2"] });
    expect(all.headers.get("link")).toBeNull();
    const first = await registry.ask("GET", "a/b/tags/list?n=3");
    expect(await first.json()).toEqual({ name: "a/b", tags: ["latest", "v1", "v10"] });
    expect(first.headers.get("link")).toBe('</v2/a/b/tags/list?n=3&last=v10>; rel="next"');
    const rest = await registry.ask("GET", "a/b/tags/list?n=3&last=v10");
    expect(await rest.json()).toEqual({ name: "a/b", tags: ["v2"] });
    expect(await (await registry.ask("GET", "_catalog")).json()).toEqual({ repositories: ["a/b"] });
    expect(await codeOf(await registry.ask("GET", "c/tags/list"))).toBe("NAME_UNKNOWN");
  });
});

describe("the server", () => {
  test("a read-only server refuses everything that changes something", async () => {
    await using registry = await startServer({ readOnly: true });
    for (const [method, path] of [
      ["POST", "a/blobs/uploads/"],
      ["PUT", "a/manifests/latest"],
      ["DELETE", "a/manifests/latest"],
    ] as const) {
      const response = await registry.ask(method, path);
      expect([response.status, await codeOf(response)]).toEqual([405, "UNSUPPORTED"]);
    }
    expect(registry.content.ingests.size).toBe(0);
  });

  test("each request is recorded with what it moved", async () => {
    await using registry = await startServer();
    await registry.pushBlob("a", bytes);
    await (await registry.ask("GET", `a/blobs/${digest}`)).arrayBuffer();
    await registry.ask("HEAD", `a/blobs/${digest}`);
    expect(registry.records).toEqual([
      { method: "POST", path: "/v2/a/blobs/uploads/", status: 201, bytes: 0, received: 5000 },
      { method: "GET", path: `/v2/a/blobs/${digest}`, status: 200, bytes: 5000, received: 0 },
      { method: "HEAD", path: `/v2/a/blobs/${digest}`, status: 200, bytes: 0, received: 0 },
    ]);
  });

  test("a failure of the store is 500 without details, and is recorded", async () => {
    const content = fakeContent();
    const broken = new Error("disk on fire at /secret/path");
    await using registry = await startServer({ content });
    await registry.pushBlob("a", bytes);
    content.open = async () => Promise.reject(broken);
    const response = await registry.ask("GET", `a/blobs/${digest}`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret");
    expect(registry.records[1]?.error).toBe(broken);
  });

  test("a stream that fails half way is cut off, not ended", async () => {
    const content = fakeContent();
    await using registry = await startServer({ content });
    await registry.pushBlob("a", bytes);
    const reader = await content.open({ mediaType: "", digest, size: 0 });
    content.open = async () => ({
      ...reader,
      async *stream() {
        yield bytes.subarray(0, 1000);
        throw new Error("bad sector");
      },
    });
    const read = registry.ask("GET", `a/blobs/${digest}`).then((response) => response.arrayBuffer());
    await expect(read).rejects.toThrow(/fetch failed|terminated/);
  });

  test("a client that says nothing is put off", async () => {
    await using registry = await startServer({ idleTimeout: 300 });
    const socket = createConnection(registry.server.address?.port ?? 0, "127.0.0.1");
    expect(await once(socket.resume(), "close")).toEqual([false]);
  });

  test("a client that says nothing more in the middle of a head is put off", async () => {
    await using registry = await startServer({ idleTimeout: 300 });
    const socket = createConnection(registry.server.address?.port ?? 0, "127.0.0.1");
    // The connection is reset if the time is over before the server has read what was said.
    const closed = new Promise((resolve) => socket.on("error", () => undefined).on("close", resolve));
    socket.resume().write("GET /v2/ HTTP/1.1\r\nHost: x\r\n");
    await closed;
    expect(registry.records).toEqual([]);
  });

  test("closing breaks off what runs, drops uploads, and may be done twice", async () => {
    const registry = await startServer();
    const { port } = registry.server.address ?? { port: 0 };
    const socket = createConnection(port, "127.0.0.1");
    socket.on("error", () => undefined);
    const started = await registry.ask("POST", "a/blobs/uploads/");
    const path = started.headers.get("location");
    socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf`);
    while (registry.content.ingests.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const gone = once(socket.resume(), "close");
    await registry.server.close();
    await registry.server.close();
    await gone;
    expect(registry.content.ingests.size).toBe(0);
    expect(registry.server.address).toBeUndefined();
    await expect(registry.server.listen()).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
  });

  test("a port that is taken is the system's error", async () => {
    await using registry = await startServer();
    await using second = createRegistryServer({ content: fakeContent() });
    const { port } = registry.server.address ?? { port: 0 };
    await expect(second.listen({ port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
