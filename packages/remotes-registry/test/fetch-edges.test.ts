import { createServer } from "node:net";
import { gzipSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import type { EndpointsCallback } from "@varve/remotes-registry";
import type { Fetcher } from "@varve/remotes";
import { describe, expect, test } from "vitest";
import type { FakeRegistry } from "./fake-registry.ts";
import { fakeRegistry, portOf, send, sendAndBreak, sendBlob, sendError } from "./fake-registry.ts";
import { blob, blobPath, errorOf, fetchLayer, fetchOf, layer, manifest, target, testResolver } from "./fixtures.ts";

const size = blob.byteLength;

function rangeFrom(range: string | undefined): number {
  return Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
}

describe("where something is asked for", () => {
  const manifestPath = `/v2/lib/app/manifests/${target.digest}`;
  const manifestBlobPath = `/v2/lib/app/blobs/${target.digest}`;

  // N09: whatever the tag means by now, the bytes are those of the digest
  test("is the digest, also with a fetcher that was made for a tag", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 200, {}, manifest));
    await using resolver = testResolver();
    expect(await fetchOf(resolver.fetcher(`${registry.host}/lib/app:v1`), target)).toEqual(manifest);
    expect(registry.log()).toEqual([`GET ${manifestPath}`]);
  });

  // M8, U-FET.1
  test("is among the blobs for a manifest that is not among the manifests", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path === manifestBlobPath) send(response, 200, {}, manifest);
      else sendError(response, 404, "MANIFEST_UNKNOWN", "no");
    });
    await using resolver = testResolver();
    expect(await fetchOf(resolver.fetcher(`${registry.host}/lib/app`), target)).toEqual(manifest);
    expect(registry.log()).toEqual([`GET ${manifestPath}`, `GET ${manifestBlobPath}`]);
  });

  // M8
  test.each([401, 403, 500, 503])("is not there after a %i", async (status) => {
    await using registry = await fakeRegistry((_seen, response) => send(response, status));
    await using resolver = testResolver({ retries: 0 });
    await expect(fetchOf(resolver.fetcher(`${registry.host}/lib/app`), target)).rejects.toThrow(String(status));
    expect(registry.log()).not.toContain(`GET ${manifestBlobPath}`);
  });

  // U-FET.6
  test("is both for a type that says nothing, and the first failure is told", async () => {
    const unknown = { ...target, mediaType: "application/octet-stream" };
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path === manifestPath) send(response, 200, {}, manifest);
      else sendError(response, 404, "BLOB_UNKNOWN", seen.path.includes("/blobs/") ? "no blob" : "no manifest");
    });
    await using resolver = testResolver();
    expect(await fetchOf(resolver.fetcher(`${registry.host}/lib/app`), unknown)).toEqual(manifest);
    expect(registry.log()).toEqual([`GET ${manifestBlobPath}`, `GET ${manifestPath}`]);
    const nowhere = fetchOf(resolver.fetcher(`${registry.host}/other/app`), unknown);
    await expect(nowhere).rejects.toThrow("no blob");
  });
});

// C-FET.5
describe("an answer without the bytes", () => {
  test.each([
    [403, "ERR_PERMISSION_DENIED", 1],
    [404, "ERR_NOT_FOUND", 1],
    [408, "ERR_NETWORK", 5],
    [429, "ERR_RATE_LIMITED", 5],
    [500, "ERR_NETWORK", 5],
    [504, "ERR_NETWORK", 5],
  ])(
    "of %i is %s after %i requests, with method, address, status and the registry's words",
    async (status, code, n) => {
      await using registry = await fakeRegistry((_seen, response) => sendError(response, status, "CODE", "in words"));
      await using resolver = testResolver();
      await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(new RegExp(`^GET ${registry.url}${blobPath}: ${status} .*: CODE: in words`)),
      });
      expect(registry.seen).toHaveLength(n);
    },
  );
});

describe("more bytes than there should be", () => {
  // B1
  test("end the transfer as soon as they come", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(200);
      response.write(blob);
      const more = (): void => void response.write(blob, (error) => error ?? setImmediate(more));
      more();
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: `content ${layer.digest}: the registry has more than ${size} bytes`,
    });
    while (registry.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(registry.seen).toHaveLength(1);
  });

  // B7: what a cache encodes can be made to swell
  test("do so too when they come out of an encoding", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 200, { "content-encoding": "gzip" }, bomb);
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  test("than a range says do so too", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(206, { "content-range": `bytes 100-199/${size}` });
      response.end(blob.subarray(100, 300));
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host, 100)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });
});

/** All bytes; resets the first connection when so many have come: what waits in the system is lost with a reset. */
async function fetchAndReset(fetcher: Fetcher, registry: FakeRegistry, after: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let received = 0;
  for await (const chunk of fetcher.fetch(layer)) {
    chunks.push(chunk);
    received += chunk.byteLength;
    if (received === after) registry.seen[0]?.socket.resetAndDestroy();
  }
  return Buffer.concat(chunks);
}

describe("a connection that is reset", () => {
  // N01
  test.each([1, size / 2, size - 1])("after %i bytes is made again, and no byte is sent twice", async (sent) => {
    await using registry = await fakeRegistry((seen, response) => {
      if (registry.seen.length > 1) return sendBlob(seen, response, blob);
      response.writeHead(200, { "content-length": String(size) });
      response.write(blob.subarray(0, sent));
    });
    await using resolver = testResolver();
    expect(await fetchAndReset(resolver.fetcher(`${registry.host}/lib/app`), registry, sent)).toEqual(blob);
    expect(registry.seen.map(({ headers }) => headers.range)).toEqual([undefined, `bytes=${sent}-`]);
  });

  // N01
  test("before the first byte is made again", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (registry.seen.length > 1) return sendBlob(seen, response, blob);
      response.writeHead(200, { "content-length": String(size) });
      response.flushHeaders();
      setTimeout(() => seen.socket.resetAndDestroy(), 20);
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen).toHaveLength(2);
  });

  // N01
  test("after the last byte does no harm", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(200);
      response.write(blob);
    });
    await using resolver = testResolver();
    expect(await fetchAndReset(resolver.fetcher(`${registry.host}/lib/app`), registry, size)).toEqual(blob);
    expect(registry.seen).toHaveLength(1);
  });

  // N01, N02: progress is rewarded, but not without end
  test("after every byte is given up in the end", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const from = rangeFrom(seen.headers.range);
      const headers = { "content-length": String(size - from), "content-range": `bytes ${from}-${size - 1}/${size}` };
      sendAndBreak(response, from === 0 ? 200 : 206, headers, blob.subarray(from, from + 1));
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.seen.length).toBeLessThan(100);
  });

  // N02
  test("before the last chunk said that it is the last is made again if bytes are missing", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (registry.seen.length > 1) return sendBlob(seen, response, blob);
      response.writeHead(200);
      response.write(blob.subarray(0, 5000), () => response.destroy());
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen[1]?.headers.range).toBe("bytes=5000-");
  });
});

describe("a range that is answered oddly", () => {
  // B2
  test("by several parts in one is refused", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      const body = `--x\r\ncontent-range: bytes 100-${size - 1}/${size}\r\n\r\n${"y".repeat(100)}\r\n--x--`;
      send(response, 206, { "content-type": "multipart/byteranges; boundary=x" }, body);
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host, 100)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  test("although none was asked for is refused, unless it is everything", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const end = seen.path.includes("/all/") ? size - 1 : size - 2;
      send(response, 206, { "content-range": `bytes 0-${end}/${size}` }, blob.subarray(0, end + 1));
    });
    await using resolver = testResolver();
    expect(await fetchOf(resolver.fetcher(`${registry.host}/all/app`), layer)).toEqual(blob);
    // What is missing is asked for; that it was not all is known by then.
    const part = errorOf(fetchOf(resolver.fetcher(`${registry.host}/some/app`), layer));
    expect(await part).toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  // B4
  test("by a 416 that tells the right size is asked for anew from the first byte", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.range === undefined) send(response, 200, {}, blob);
      else send(response, 416, { "content-range": `bytes */${size}` });
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host, size - 1)).toEqual(blob.subarray(size - 1));
    expect(registry.seen.map(({ headers }) => headers.range)).toEqual([`bytes=${size - 1}-`, undefined]);
  });

  // U-FET.2
  test("without a total, and beyond what there should be, is refused", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 206, { "content-range": `bytes 100-${size}/*` }, Buffer.alloc(size - 99));
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host, 100)).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringContaining("Content-Range"),
    });
  });

  // U-FET.2
  test("without a total is taken", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const from = rangeFrom(seen.headers.range);
      send(response, 206, { "content-range": `bytes ${from}-${size - 1}/*` }, blob.subarray(from));
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host, 5)).toEqual(blob.subarray(5));
  });
});

describe("a slow server", () => {
  // N03
  test("that sends its headers byte by byte is given up after the idle time", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      const head = `HTTP/1.1 200 OK\r\nX-Padding: ${"x".repeat(10_000)}`;
      let at = 0;
      const timer = setInterval(() => socket.write(head.charAt(at++)), 20);
      socket.on("close", () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await using resolver = testResolver({ idleTimeout: 200, retries: 1 });
    const failed = errorOf(fetchLayer(resolver, `127.0.0.1:${portOf(server)}`));
    expect(await failed).toMatchObject({ code: "ERR_DEADLINE_EXCEEDED" });
    await resolver.close();
    await new Promise((resolve) => server.close(resolve));
  });

  // N14, G-2, N03: other transfers are not held up
  test("is put up with as long as bytes come, and others go on beside it", async () => {
    const small = { ...layer, digest: digestOf("drip"), size: 12 };
    await using registry = await fakeRegistry(async (seen, response) => {
      if (!seen.path.endsWith(small.digest)) return sendBlob(seen, response, blob);
      response.writeHead(200, { "content-length": "12" });
      for (let sent = 0; sent < 12; sent += 1) {
        response.write("x");
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      response.end();
    });
    await using resolver = testResolver({ idleTimeout: 2500 });
    const fetcher = resolver.fetcher(`${registry.host}/lib/app`);
    let isDone = false;
    const dripping = fetchOf(fetcher, small).finally(() => (isDone = true));
    expect(await fetchOf(fetcher, layer)).toEqual(blob);
    expect(isDone).toBe(false);
    expect((await dripping).toString()).toBe("x".repeat(12));
  });
});

// B9
test("places are given in the order in which they were asked for, whatever the image", async () => {
  const held: (() => void)[] = [];
  await using registry = await fakeRegistry((seen, response) => {
    held.push(() => sendBlob(seen, response, blob));
  });
  await using resolver = testResolver({ maxConcurrentPerHost: 1 });
  const [first, second] = ["a/app", "b/app"].map((name) => resolver.fetcher(`${registry.host}/${name}`));
  const blobs: Promise<Buffer>[] = [];
  for (const fetcher of [first, first, second, first, second]) {
    if (fetcher !== undefined) blobs.push(fetchOf(fetcher, layer));
    // Until it has asked.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (const one of blobs) {
    while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    held.shift()?.();
    await one;
  }
  expect(registry.seen.map(({ path }) => path.slice(4, 5))).toEqual(["a", "a", "b", "a", "b"]);
});

function mirrored(mirror: string, registry: string): EndpointsCallback {
  return async () => [{ url: mirror }, { url: registry }];
}

describe("with a mirror", () => {
  // T3, B2
  test("that breaks off the transfer is continued at the registry", async () => {
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using mirror = await fakeRegistry((_seen, response) => {
      sendAndBreak(response, 200, { "content-length": String(size) }, blob.subarray(0, 150_000));
    });
    await using resolver = testResolver({ endpoints: mirrored(mirror.url, registry.url) });
    expect(await fetchOf(resolver.fetcher("registry.example/lib/app"), layer)).toEqual(blob);
    expect(registry.seen[0]?.headers.range).toBe("bytes=150000-");
    expect(mirror.seen).toHaveLength(1);
  });

  // B1
  test("that has another size, or another range, is passed over", async () => {
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using mirror = await fakeRegistry((seen, response) => {
      if (seen.headers.range === undefined) send(response, 200, {}, blob.subarray(1));
      else send(response, 206, { "content-range": `bytes 1-${size - 1}/${size}` }, blob.subarray(1));
    });
    await using resolver = testResolver({ endpoints: mirrored(mirror.url, registry.url) });
    const fetcher = resolver.fetcher("registry.example/lib/app");
    expect(await fetchOf(fetcher, layer)).toEqual(blob);
    const chunks: Uint8Array[] = [];
    for await (const chunk of fetcher.fetch(layer, { offset: 10 })) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(blob.subarray(10));
    expect([mirror.seen.length, registry.seen.length]).toEqual([2, 2]);
  });

  // N08
  test("whose bytes were of no use is not asked first for them again", async () => {
    const wrong = Buffer.alloc(size);
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using mirror = await fakeRegistry((seen, response) => sendBlob(seen, response, wrong));
    await using resolver = testResolver({ endpoints: mirrored(mirror.url, registry.url) });
    const fetcher = resolver.fetcher("registry.example/lib/app");
    expect(await fetchOf(fetcher, layer)).toEqual(wrong);
    expect(await fetchOf(fetcher, layer)).toEqual(blob);
  });
});
