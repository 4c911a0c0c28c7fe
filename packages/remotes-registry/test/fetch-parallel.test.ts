import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { RegistryResolverOptions } from "@varve/remotes-registry";
import { fakeRegistry, send, sendAndBreak, sendError } from "./fake-registry.ts";
import type { Script, Seen } from "./fake-registry.ts";
import { blob, errorOf, fetchLayer, layer, testResolver } from "./fixtures.ts";
import { until } from "./http-raw-server.ts";

const size = blob.byteLength;
const rangeSize = 16_384;
const parallel: RegistryResolverOptions = { connectionsPerBlob: 4, rangeSize, maxConcurrentPerHost: 4 };

function rangeOf({ headers }: Seen): { readonly start: number; readonly end: number } | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "");
  if (match === null) return undefined;
  return { start: Number(match[1]), end: match[2] === "" ? size : Number(match[2]) + 1 };
}

/** Answers ranges as servers do that know them. */
const sendRange: Script = (seen, response) => {
  const range = rangeOf(seen);
  if (range === undefined) return send(response, 200, {}, blob);
  const { start, end } = range;
  send(response, 206, { "content-range": `bytes ${start}-${end - 1}/${size}` }, blob.subarray(start, end));
};

function starts(seen: readonly Seen[]): number[] {
  return seen.map((one) => rangeOf(one)?.start ?? -1).toSorted((a, b) => a - b);
}

// U-FET.4, C-FET.2
describe("a large blob that is fetched by several connections", () => {
  test.each([0, 1, 50_000, size - rangeSize - 1])("comes in order, from byte %i on", async (offset) => {
    await using registry = await fakeRegistry(sendRange);
    await using resolver = testResolver(parallel);
    expect(await fetchLayer(resolver, registry.host, offset)).toEqual(blob.subarray(offset));
    const wanted = Array.from({ length: Math.ceil((size - offset) / rangeSize) }, (_, i) => offset + i * rangeSize);
    expect(starts(registry.seen)).toEqual(wanted);
  });

  test("is asked for at once, never by more connections than there may be", async () => {
    let [open, most] = [0, 0];
    await using registry = await fakeRegistry(async (seen, response) => {
      open += 1;
      most = Math.max(most, open);
      response.on("finish", () => (open -= 1));
      // The first answer tells whether there are ranges: it is alone.
      if (registry.seen.length > 1) await until(() => most >= 3);
      // Long enough for a fourth one to come, if it may.
      await new Promise((resolve) => setTimeout(resolve, 30));
      await sendRange(seen, response);
    });
    await using resolver = testResolver({ ...parallel, maxConcurrentPerHost: 3 });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(most).toBe(3);
  });

  test("needs no more than one place, if there is only one", async () => {
    await using registry = await fakeRegistry(sendRange);
    await using resolver = testResolver({ ...parallel, maxConcurrentPerHost: 1 });
    const both = await Promise.all([fetchLayer(resolver, registry.host), fetchLayer(resolver, registry.host, 7)]);
    expect(both).toEqual([blob, blob.subarray(7)]);
  });

  test("comes by one connection if it is no larger than a range", async () => {
    await using registry = await fakeRegistry(sendRange);
    await using resolver = testResolver({ ...parallel, rangeSize: size });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen.map(({ headers }) => headers.range)).toEqual([undefined]);
  });

  test.each([0, -1, 511, 1000.5, Number.NaN])("comes by one connection with ranges of %d bytes", async (bytes) => {
    await using registry = await fakeRegistry(sendRange);
    await using resolver = testResolver({ ...parallel, rangeSize: bytes });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen).toHaveLength(1);
  });

  // Memory: connections × range size
  test("is not fetched further ahead than its connections' ranges while nobody takes the bytes", async () => {
    await using registry = await fakeRegistry(sendRange);
    await using resolver = testResolver(parallel);
    const chunks = resolver.fetcher(`${registry.host}/lib/app`).fetch(layer)[Symbol.asyncIterator]();
    const first = await chunks.next();
    expect(first.value?.byteLength).toBeGreaterThan(0);
    while (registry.seen.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(starts(registry.seen)).toEqual([0, 1, 2, 3].map((index) => index * rangeSize));
    await chunks.return?.(undefined);
  });

  // N07, B3
  test("comes by one connection where ranges are ignored, and no byte twice", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 200, {}, blob));
    await using resolver = testResolver(parallel);
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen).toHaveLength(1);
    expect(await fetchLayer(resolver, registry.host, 300)).toEqual(blob.subarray(300));
    expect(registry.seen).toHaveLength(2);
  });

  test("comes by one connection where the length is not told", async () => {
    await using registry = await fakeRegistry((_seen, response) => void response.writeHead(200).end(blob));
    await using resolver = testResolver(parallel);
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
  });

  test("comes by one connection from where ranges are ignored all at once", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if ((rangeOf(seen)?.start ?? 0) < 3 * rangeSize && seen.headers.range !== undefined)
        return sendRange(seen, response);
      send(response, 200, {}, blob);
    });
    await using resolver = testResolver(parallel);
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(starts(registry.seen).filter((start) => start < 3 * rangeSize)).toEqual([0, rangeSize, 2 * rangeSize]);
  });

  // B7, C-FET.4
  test("comes by one connection where a cache encodes it, as a whole or in parts", async () => {
    const encoded = gzipSync(blob);
    await using registry = await fakeRegistry((seen, response) => {
      const headers = { "content-encoding": "gzip" };
      const range = rangeOf(seen);
      if (range === undefined || seen.path.includes("/whole/")) return send(response, 200, headers, encoded);
      const part = encoded.subarray(range.start, range.end);
      const told = `bytes ${range.start}-${range.start + part.byteLength - 1}/${encoded.byteLength}`;
      send(response, 206, { ...headers, "content-range": told }, part);
    });
    for (const repository of ["whole/app", "parts/app"]) {
      await using resolver = testResolver(parallel);
      const chunks: Uint8Array[] = [];
      for await (const chunk of resolver.fetcher(`${registry.host}/${repository}`).fetch(layer)) chunks.push(chunk);
      expect(Buffer.concat(chunks)).toEqual(blob);
    }
  });

  // C-FET.2
  test.each([
    ["another start", "bytes 1-16383/200000"],
    ["more than was asked for", "bytes 0-16384/200000"],
    ["another size", "bytes 0-16383/300000"],
    ["nothing", undefined],
  ])("is refused when the first part is labelled with %s", async (_what, told) => {
    await using registry = await fakeRegistry((seen, response) => {
      if (rangeOf(seen)?.start !== 0) return sendRange(seen, response);
      // The bytes are as many as it says, so that only the label is wrong.
      const bytes = told === "bytes 0-16384/200000" ? blob.subarray(0, rangeSize + 1) : blob.subarray(0, rangeSize);
      send(response, 206, told === undefined ? {} : { "content-range": told }, bytes);
    });
    await using resolver = testResolver(parallel);
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: expect.stringContaining("Content-Range"),
    });
  });

  test("is refused when a part has more bytes than it says", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const { start = 0, end = size } = rangeOf(seen) ?? {};
      response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${size}` });
      response.end(blob.subarray(start, end + 1));
    });
    await using resolver = testResolver(parallel);
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
  });

  // C-FET.2
  test("goes on when one of its requests gets a 408, and when one breaks off", async () => {
    let isFirst = true;
    const broken = new Set<number>();
    await using registry = await fakeRegistry((seen, response) => {
      const { start = 0, end = size } = rangeOf(seen) ?? {};
      if (start === 2 * rangeSize && isFirst) {
        isFirst = false;
        return send(response, 408);
      }
      if (start % rangeSize === 0 && start > 4 * rangeSize && !broken.has(start)) {
        broken.add(start);
        const headers = { "content-range": `bytes ${start}-${end - 1}/${size}`, "content-length": String(end - start) };
        return sendAndBreak(response, 206, headers, blob.subarray(start, start + 1000));
      }
      return sendRange(seen, response);
    });
    await using resolver = testResolver(parallel);
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(broken.size).toBeGreaterThan(3);
    expect(starts(registry.seen)).toContain(5 * rangeSize + 1000);
  });

  // C-FET.2, C-FET.6
  test("fails after the bytes before a part that fails, and gives every place back", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const start = rangeOf(seen)?.start ?? 0;
      if (start < 5 * rangeSize || seen.path.includes("/good/")) return sendRange(seen, response);
      return sendError(response, 500, "UNKNOWN", "the disk is gone");
    });
    await using resolver = testResolver({ ...parallel, retries: 1 });
    for (let round = 0; round < 3; round += 1) {
      let received = 0;
      const reading = async (): Promise<void> => {
        for await (const chunk of resolver.fetcher(`${registry.host}/lib/app`).fetch(layer))
          received += chunk.byteLength;
      };
      await expect(reading()).rejects.toMatchObject({
        code: "ERR_NETWORK",
        message: expect.stringContaining("the disk is gone"),
      });
      expect(received).toBe(5 * rangeSize);
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of resolver.fetcher(`${registry.host}/good/app`).fetch(layer)) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(blob);
  });

  // C-FET.6
  test("gives its place back when the first part cannot be decoded", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      send(response, 200, { "content-encoding": "gzip" }, blob);
    });
    await using resolver = testResolver({ ...parallel, maxConcurrentPerHost: 1 });
    for (let round = 0; round < 3; round += 1) {
      await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_INVALID_DATA" });
    }
    expect(registry.seen).toHaveLength(3);
  });

  // C-FET.3
  test("ends all its connections when the consumer leaves, although they wait for bytes", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const { start = 0, end = size } = rangeOf(seen) ?? {};
      response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${size}`, "content-length": end - start });
      response.write(blob.subarray(start, start + 100));
    });
    await using resolver = testResolver(parallel);
    for await (const chunk of resolver.fetcher(`${registry.host}/lib/app`).fetch(layer)) {
      expect(chunk.byteLength).toBe(100);
      while (registry.seen.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
      break;
    }
    while (registry.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(registry.seen).toHaveLength(4);
  });

  // T8, N15
  test("rejects with the reason of an abort, and leaves no connection", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (rangeOf(seen)?.start === 0) return sendRange(seen, response);
      return undefined;
    });
    await using resolver = testResolver(parallel);
    const stop = new AbortController();
    const reading = async (): Promise<void> => {
      const bytes = resolver.fetcher(`${registry.host}/lib/app`).fetch(layer, { signal: stop.signal });
      for await (const chunk of bytes) expect(chunk.byteLength).toBeGreaterThan(0);
    };
    const failed = errorOf(reading());
    while (registry.seen.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    const reason = new Error("enough");
    stop.abort(reason);
    expect(await failed).toBe(reason);
    while (registry.sockets.size > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});
