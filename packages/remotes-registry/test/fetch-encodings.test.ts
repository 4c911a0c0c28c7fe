import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendAndBreak } from "./fake-registry.ts";
import { blob, fetchLayer, fetchOf, layer, testResolver } from "./fixtures.ts";

const size = blob.byteLength;

/** The blob in a zstd frame of two raw blocks, with a window of so many bits. */
function rawZstd(windowLog: number): Buffer {
  const half = size / 2;
  const header = (isLast: number): Buffer => {
    const bytes = Buffer.alloc(3);
    bytes.writeUIntLE(half * 8 + isLast, 0, 3);
    return bytes;
  };
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) * 8]);
  return Buffer.concat([frame, header(0), blob.subarray(0, half), header(1), blob.subarray(half)]);
}

describe("a blob", () => {
  // B7, C-FET.4, U-FET.5
  test.each([
    ["gzip", gzipSync(blob)],
    ["x-gzip", gzipSync(blob)],
    ["deflate", deflateSync(blob)],
    ["zstd", zstdCompressSync(blob)],
    ["zstd", rawZstd(23)],
    ["gzip, zstd", zstdCompressSync(gzipSync(blob))],
    ["identity", blob],
  ])("that a cache encoded as %s is decoded", async (encoding, bytes) => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 200, { "content-encoding": encoding }, bytes);
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
  });

  // B7: a range of encoded bytes is of no use
  test("that is encoded and broken off is begun anew, and passed on from where it was", async () => {
    const encoded = gzipSync(blob, { level: 0 });
    await using registry = await fakeRegistry((seen, response) => {
      const headers = { "content-encoding": "gzip", "content-length": String(encoded.byteLength) };
      if (seen.headers.range !== undefined) {
        const start = Number(seen.headers.range.slice(6, -1));
        const part = encoded.subarray(start);
        const range = `bytes ${start}-${encoded.byteLength - 1}/${encoded.byteLength}`;
        send(response, 206, { "content-encoding": "gzip", "content-range": range }, part);
      } else if (registry.seen.length === 1) sendAndBreak(response, 200, headers, encoded.subarray(0, 150_000));
      else send(response, 200, headers, encoded);
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
  });

  // Bounded work and memory: each encoding multiplies the work, a window is memory
  test.each([
    ["gzip, gzip, gzip", gzipSync(gzipSync(gzipSync(blob))), "ERR_NOT_IMPLEMENTED"],
    ["zstd", rawZstd(24), "ERR_INVALID_DATA"],
  ])("in %s that takes too much to decode is refused", async (encoding, bytes, code) => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 200, { "content-encoding": encoding }, bytes);
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code });
  });

  test("in an unknown encoding, or a broken one, is refused", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const encoding = seen.path.includes("/odd/") ? "br, compress" : "gzip";
      send(response, 200, { "content-encoding": encoding }, blob);
    });
    await using resolver = testResolver();
    const odd = fetchOf(resolver.fetcher(`${registry.host}/odd/app`), layer);
    await expect(odd).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
    while (registry.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const broken = fetchOf(resolver.fetcher(`${registry.host}/lib/app`), layer);
    await expect(broken).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });
});
