import { createConnection } from "node:net";
import { digestOf } from "@varve/digest";
import { describe, expect, test } from "vitest";
import { codeOf, indexType, manifestOf, manifestType, startServer } from "./harness.ts";
import type { Harness } from "./harness.ts";

const bytes = Buffer.from("abcdefghij".repeat(300));
const digest = digestOf(bytes);

async function startUpload(registry: Harness): Promise<string> {
  const response = await registry.ask("POST", "a/blobs/uploads/");
  expect(response.status).toBe(202);
  return (response.headers.get("location") ?? "").replace("/v2/", "");
}

async function untilStored(registry: Harness, size: number): Promise<void> {
  const stored = (): number => [...registry.content.ingests.values()].flat().reduce((sum, one) => sum + one.length, 0);
  while (stored() < size) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("uploads", () => {
  test("POST and PUT store a blob in one piece", async () => {
    await using registry = await startServer();
    const path = await startUpload(registry);
    const done = await registry.ask("PUT", `${path}?digest=${digest}`, { body: bytes });
    expect(done.status).toBe(201);
    expect(done.headers.get("location")).toBe(`/v2/a/blobs/${digest}`);
    expect(done.headers.get("docker-content-digest")).toBe(digest);
    expect(registry.content.blobs.get(digest)).toEqual(bytes);
    expect((await registry.ask("GET", path)).status).toBe(404);
  });

  // P5, P6
  test("chunks are appended in order, and the status tells how far the upload is", async () => {
    await using registry = await startServer();
    const path = await startUpload(registry);
    expect((await registry.ask("GET", path)).headers.get("range")).toBe("0-0");
    const first = await registry.ask("PATCH", path, {
      body: bytes.subarray(0, 1000),
      headers: { "content-range": "0-999" },
    });
    expect([first.status, first.headers.get("range")]).toEqual([202, "0-999"]);
    const wrong = await registry.ask("PATCH", path, {
      body: bytes.subarray(2000),
      headers: { "content-range": "2000-2999" },
    });
    expect([wrong.status, wrong.headers.get("range"), await codeOf(wrong)]).toEqual([
      416,
      "0-999",
      "BLOB_UPLOAD_INVALID",
    ]);
    const second = await registry.ask("PATCH", path, { body: bytes.subarray(1000, 2000) });
    expect(second.headers.get("range")).toBe("0-1999");
    const status = await registry.ask("GET", path);
    expect([status.status, status.headers.get("range")]).toEqual([204, "0-1999"]);
    const last = await registry.ask("PUT", `${path}?digest=${digest}`, { body: bytes.subarray(2000) });
    expect(last.status).toBe(201);
    expect(registry.content.blobs.get(digest)).toEqual(bytes);
  });

  test("a chunk that breaks off keeps the bytes that came", async () => {
    await using registry = await startServer();
    const path = await startUpload(registry);
    const { port } = registry.server.address ?? { port: 0 };
    const socket = createConnection(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(`PATCH /v2/${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n`);
    socket.write(bytes.subarray(0, 700));
    await untilStored(registry, 700);
    const meanwhile = await registry.ask("PATCH", path, { body: "xyz" });
    expect([meanwhile.status, await codeOf(meanwhile)]).toEqual([429, "TOOMANYREQUESTS"]);
    expect(meanwhile.headers.get("retry-after")).toBe("1");
    socket.destroy();
    while (registry.records.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await registry.ask("GET", path)).headers.get("range")).toBe("0-699");
    const done = await registry.ask("PUT", `${path}?digest=${digest}`, { body: bytes.subarray(700) });
    expect(done.status).toBe(201);
  });

  // P6: a client asks at once where to go on, while what it had sent is still being read.
  test("what is asked of an upload while a chunk comes waits for the chunk", async () => {
    await using registry = await startServer();
    const path = await startUpload(registry);
    const socket = createConnection(registry.server.address?.port ?? 0, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(`PATCH /v2/${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n`);
    socket.write(bytes.subarray(0, 700));
    await untilStored(registry, 700);
    const status = registry.ask("GET", path);
    const next = registry.ask("PATCH", path, {
      body: bytes.subarray(900, 1000),
      headers: { "content-range": "900-999" },
    });
    // Long enough for both to have come; the answers are the same if they have not.
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.end(bytes.subarray(700, 900));
    expect((await status).headers.get("range")).toMatch(/^0-(?:899|999)$/);
    expect([(await next).status, (await next).headers.get("range")]).toEqual([202, "0-999"]);
  });

  test("bytes with another digest are refused and dropped", async () => {
    await using registry = await startServer();
    const path = await startUpload(registry);
    const response = await registry.ask("PUT", `${path}?digest=${digest}`, { body: "something else" });
    expect([response.status, await codeOf(response)]).toEqual([400, "DIGEST_INVALID"]);
    expect(registry.content.blobs.size).toBe(0);
    expect(registry.content.ingests.size).toBe(0);
    expect((await registry.ask("GET", path)).status).toBe(404);
  });

  test("a malformed digest ends no upload", async () => {
    await using registry = await startServer();
    const path = await startUpload(registry);
    expect(await codeOf(await registry.ask("PUT", `${path}?digest=sha256:12`))).toBe("DIGEST_INVALID");
    expect(await codeOf(await registry.ask("PUT", path))).toBe("DIGEST_INVALID");
    expect((await registry.ask("GET", path)).status).toBe(204);
  });

  test("a blob that is there already may be uploaded again", async () => {
    await using registry = await startServer();
    await registry.pushBlob("a", bytes);
    await registry.pushBlob("a", bytes);
    expect(registry.content.blobs.size).toBe(1);
  });

  // P2
  test("a mount of a blob that is here needs no upload; of another one it starts an upload", async () => {
    await using registry = await startServer();
    await registry.pushBlob("a", bytes);
    const mounted = await registry.ask("POST", `b/blobs/uploads/?mount=${digest}&from=a`);
    expect([mounted.status, mounted.headers.get("location")]).toEqual([201, `/v2/b/blobs/${digest}`]);
    const other = await registry.ask("POST", `b/blobs/uploads/?mount=${digestOf("x")}&from=a`);
    expect(other.status).toBe(202);
  });

  test("an upload belongs to its repository and can be dropped", async () => {
    await using registry = await startServer();
    const path = await startUpload(registry);
    expect((await registry.ask("GET", path.replace("a/", "b/"))).status).toBe(404);
    expect((await registry.ask("DELETE", path)).status).toBe(204);
    expect((await registry.ask("GET", path)).status).toBe(404);
  });

  test("too many open uploads are refused, and idle ones make room", async () => {
    await using registry = await startServer({ maxUploads: 2 });
    await startUpload(registry);
    await startUpload(registry);
    const third = await registry.ask("POST", "a/blobs/uploads/");
    expect([third.status, await codeOf(third)]).toEqual([429, "TOOMANYREQUESTS"]);
    await using second = await startServer({ maxUploads: 1, uploadIdleTimeout: -1 });
    const path = await startUpload(second);
    await startUpload(second);
    expect((await second.ask("GET", path)).status).toBe(404);
  });

  // P13
  test("sha512 names are accepted", async () => {
    await using registry = await startServer();
    const long = digestOf(bytes, "sha512");
    const response = await registry.ask("POST", `a/blobs/uploads/?digest=${long}`, { body: bytes });
    expect(response.status).toBe(201);
    expect((await registry.ask("HEAD", `a/blobs/${long}`)).status).toBe(200);
  });
});

describe("manifests", () => {
  const headers = { "content-type": manifestType };

  // P9, M12
  test("a manifest is given back byte for byte, by tag and by digest", async () => {
    await using registry = await startServer();
    const manifest = Buffer.from(
      `${manifestOf(await registry.pushBlob("a", bytes), [])
        .toString()
        .slice(0, -1)}, "unknown": 1.50 }\n`,
    );
    const name = digestOf(manifest);
    const put = await registry.ask("PUT", "a/manifests/v1", { body: manifest, headers });
    expect([put.status, put.headers.get("docker-content-digest")]).toEqual([201, name]);
    for (const reference of ["v1", name]) {
      const got = await registry.ask("GET", `a/manifests/${reference}`);
      expect(got.headers.get("content-type")).toBe(manifestType);
      expect(got.headers.get("docker-content-digest")).toBe(name);
      expect(Buffer.from(await got.arrayBuffer())).toEqual(manifest);
      const head = await registry.ask("HEAD", `a/manifests/${reference}`);
      expect(head.headers.get("content-length")).toBe(String(manifest.byteLength));
    }
  });

  test("a manifest must come after what it names, and an index may come before", async () => {
    await using registry = await startServer();
    const layer = digestOf("missing");
    const manifest = manifestOf(await registry.pushBlob("a", bytes), [layer]);
    const response = await registry.ask("PUT", "a/manifests/v1", { body: manifest, headers });
    expect([response.status, await codeOf(response)]).toEqual([404, "MANIFEST_BLOB_UNKNOWN"]);
    expect((await registry.ask("GET", "a/manifests/v1")).status).toBe(404);
    const index = JSON.stringify({
      schemaVersion: 2,
      manifests: [{ mediaType: manifestType, digest: layer, size: 1 }],
    });
    const indexed = await registry.ask("PUT", "a/manifests/v1", {
      body: index,
      headers: { "content-type": indexType },
    });
    expect(indexed.status).toBe(201);
    expect((await registry.ask("GET", `a/manifests/${layer}`)).status).toBe(404);
  });

  test("layers that are kept elsewhere need not be here", async () => {
    await using registry = await startServer();
    const parsed = JSON.parse(manifestOf(await registry.pushBlob("a", bytes), [digestOf("x")]).toString());
    parsed.layers[0].urls = ["https://example.test/layer"];
    const response = await registry.ask("PUT", "a/manifests/v1", { body: JSON.stringify(parsed), headers });
    expect(response.status).toBe(201);
  });

  test.each([
    ["not JSON", "{"],
    ["a list", "[]"],
    ["neither", "{}"],
    ["manifest and index at once", '{"layers": [], "manifests": [], "config": {}}'],
    ["an unknown type", `{"mediaType": "text/html", "layers": [], "config": {"digest": "${digest}"}}`],
    ["a type that does not fit", `{"mediaType": "${indexType}", "layers": [], "config": {"digest": "${digest}"}}`],
    ["a name that stands twice", '{"manifests": [], "manifests": []}'],
    ["no config", '{"layers": []}'],
    ["a malformed digest", '{"manifests": [{"digest": "sha256:xyz"}]}'],
    [
      "text that is not UTF-8",
      Buffer.concat([Buffer.from('{"manifests": [], "x": "'), Buffer.from([0xff]), Buffer.from('"}')]),
    ],
  ])("%s is refused as a manifest", async (_what, body) => {
    await using registry = await startServer();
    const response = await registry.ask("PUT", "a/manifests/v1", { body });
    expect([response.status, await codeOf(response)]).toEqual([400, "MANIFEST_INVALID"]);
    expect(registry.content.blobs.size).toBe(0);
  });

  test("a manifest put under another digest or type is refused", async () => {
    await using registry = await startServer();
    const manifest = manifestOf(await registry.pushBlob("a", bytes), []);
    const digestWrong = await registry.ask("PUT", `a/manifests/${digest}`, { body: manifest, headers });
    expect(await codeOf(digestWrong)).toBe("DIGEST_INVALID");
    const typed = await registry.ask("PUT", "a/manifests/v1", {
      body: manifest,
      headers: { "content-type": indexType },
    });
    expect(await codeOf(typed)).toBe("MANIFEST_INVALID");
  });

  test("a manifest over the limit is refused and not stored", async () => {
    await using registry = await startServer({ maxManifestSize: 1000 });
    const response = await registry.ask("PUT", "a/manifests/v1", { body: " ".repeat(5000) });
    expect([response.status, await codeOf(response)]).toEqual([413, "SIZE_INVALID"]);
  });

  test("a blob that is no manifest is none", async () => {
    await using registry = await startServer();
    const blob = await registry.pushBlob("a", Buffer.from('{"architecture":"amd64"}'));
    const response = await registry.ask("GET", `a/manifests/${blob}`);
    expect([response.status, await codeOf(response)]).toEqual([404, "MANIFEST_UNKNOWN"]);
  });

  // P10
  test("several tags can be set in one request", async () => {
    await using registry = await startServer();
    const manifest = manifestOf(await registry.pushBlob("a", bytes), []);
    const path = `a/manifests/${digestOf(manifest)}?tag=one&tag=two`;
    const response = await registry.ask("PUT", path, { body: manifest, headers });
    expect(response.headers.get("oci-tag")).toBe("one, two");
    expect((await registry.ask("HEAD", "a/manifests/two")).status).toBe(200);
  });
});
