import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { fakeRegistry, portOf, send, sendAndBreak, sendBlob, sendError } from "./fake-registry.ts";
import { blob, blobPath, fetchLayer, fetchOf, layer, manifest, target, testResolver } from "./fixtures.ts";

const size = blob.byteLength;

describe("a blob", () => {
  // C-FET.1
  test("comes whole, and without a Range header", async () => {
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.log()).toEqual([`GET ${blobPath}`]);
    expect(registry.seen[0]?.headers.range).toBeUndefined();
  });

  // B2, C-FET.1
  test.each([1, 20, size - 1])("comes from byte %i on", async (offset) => {
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host, offset)).toEqual(blob.subarray(offset));
    expect(registry.seen[0]?.headers.range).toBe(`bytes=${offset}-`);
  });

  // B4
  test("of which nothing is missing is not asked for", async () => {
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host, size)).toEqual(Buffer.alloc(0));
    expect(registry.seen).toEqual([]);
  });

  // B8
  test("without Content-Length is fine", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(200);
      response.write(blob.subarray(0, 1000));
      response.end(blob.subarray(1000));
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
  });

  // B1: known from the header, before a byte is read
  test("whose length is another is refused at once", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 200, {}, blob.subarray(1)));
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
      code: "ERR_DIGEST_MISMATCH",
      message: `content ${layer.digest}: the registry has ${size - 1} bytes, expected ${size}`,
    });
  });

  test("that is not there fails with the registry's words", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      sendError(response, 404, "BLOB_UNKNOWN", "never heard of it");
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: `GET ${registry.url}${blobPath}: 404 Not Found: BLOB_UNKNOWN: never heard of it`,
    });
  });

  test("belongs to the consumer chunk by chunk", async () => {
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using resolver = testResolver();
    let at = 0;
    for await (const chunk of resolver.fetcher(`${registry.host}/lib/app`).fetch(layer)) {
      expect(Buffer.compare(chunk, blob.subarray(at, at + chunk.byteLength))).toBe(0);
      at += chunk.byteLength;
      chunk.fill(0);
    }
    expect(at).toBe(size);
  });

  test("that nobody wants to read to the end frees its connection", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(200, { "content-length": String(size) });
      response.write(blob.subarray(0, 50_000));
    });
    await using resolver = testResolver({ maxConcurrentPerHost: 1 });
    for (let round = 0; round < 3; round += 1) {
      for await (const chunk of resolver.fetcher(`${registry.host}/lib/app`).fetch(layer)) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        break;
      }
    }
    while (registry.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

describe("a transfer that breaks off", () => {
  // N01, U-FET.3, B2
  test.each([0, 1, 100_000, size - 1])("after %i bytes goes on by a range", async (sent) => {
    await using registry = await fakeRegistry((seen, response) => {
      if (registry.seen.length > 1) sendBlob(seen, response, blob);
      else sendAndBreak(response, 200, { "content-length": String(size) }, blob.subarray(0, sent));
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen).toHaveLength(2);
  });

  // N02
  test("without saying so, before all bytes came, goes on too", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (registry.seen.length > 1) sendBlob(seen, response, blob);
      else {
        response.writeHead(200);
        response.end(blob.subarray(0, 5000));
      }
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen[1]?.headers.range).toBe("bytes=5000-");
  });

  // N01: progress renews the budget
  test("again and again goes on as long as there is progress", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const start = Number(/\d+/.exec(seen.headers.range ?? "0")?.[0]);
      const headers = { "content-length": String(size - start) };
      const range = { "content-range": `bytes ${start}-${size - 1}/${size}` };
      const part = blob.subarray(start, start + 10_000);
      if (start === 0) sendAndBreak(response, 200, headers, part);
      else sendAndBreak(response, 206, { ...headers, ...range }, part);
    });
    await using resolver = testResolver({ retries: 2 });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen.length).toBeGreaterThanOrEqual(20);
  });

  // U-FET.3
  test("without any progress is given up", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.range === undefined) {
        sendAndBreak(response, 200, { "content-length": String(size) }, blob.subarray(0, 100));
      } else {
        const range = `bytes 100-${size - 1}/${size}`;
        sendAndBreak(response, 206, { "content-length": String(size - 100), "content-range": range }, Buffer.alloc(0));
      }
    });
    await using resolver = testResolver({ retries: 2 });
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.seen.length).toBe(4);
  });

  // B3, N07, U-FET.2, C-FET.1
  test("goes on where ranges are ignored, by dropping what is there already", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      if (registry.seen.length > 2) send(response, 200, {}, blob);
      else
        sendAndBreak(response, 200, { "content-length": String(size) }, blob.subarray(0, registry.seen.length * 9999));
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen.length).toBe(3);
  });

  // B3: each attempt costs all bytes before
  test("is given up when a server that ignores ranges breaks off too often", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      const sent = Math.min(size - 1, 150_000 + registry.seen.length * 100);
      sendAndBreak(response, 200, { "content-length": String(size) }, blob.subarray(0, sent));
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.seen.length).toBeLessThan(15);
  });

  // B2, C-FET.1
  test.each(["bytes 0-199999/200000", "bytes 101-199999/200000", "bytes 100-199999/300000", "chunks 1-2/3", ""])(
    "is not continued with a part that is labelled %j",
    async (range) => {
      await using registry = await fakeRegistry((_seen, response) => {
        send(response, 206, { "content-range": range }, blob.subarray(100));
      });
      await using resolver = testResolver();
      await expect(fetchLayer(resolver, registry.host, 100)).rejects.toMatchObject({
        code: "ERR_INVALID_DATA",
        message: expect.stringContaining("Content-Range"),
      });
    },
  );

  test("is continued by parts that are shorter than asked for", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      const start = Number(/\d+/.exec(seen.headers.range ?? "0")?.[0]);
      const end = Math.min(size, start + 60_000);
      send(response, 206, { "content-range": `bytes ${start}-${end - 1}/${size}` }, blob.subarray(start, end));
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host, 10)).toEqual(blob.subarray(10));
  });

  // B4
  test("is begun anew when the server refuses the range without a reason", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.headers.range === undefined) send(response, 200, {}, blob);
      else send(response, 416);
    });
    await using resolver = testResolver();
    expect(await fetchLayer(resolver, registry.host, 77)).toEqual(blob.subarray(77));
  });

  // B4
  test("is over when the server has fewer bytes than expected", async () => {
    await using registry = await fakeRegistry((_seen, response) =>
      send(response, 416, { "content-range": "bytes */50" }),
    );
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host, 50)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  });

  // B6, G-2
  test("by silence is continued after the idle time", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (registry.seen.length > 1) sendBlob(seen, response, blob);
      else {
        response.writeHead(200, { "content-length": String(size) });
        response.write(blob.subarray(0, 1234));
      }
    });
    // Long enough for the first bytes to arrive on a machine that is busy.
    await using resolver = testResolver({ idleTimeout: 1500 });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen[1]?.headers.range).toBe("bytes=1234-");
  });

  // N03
  test("by silence for good has an error of its own", async () => {
    await using registry = await fakeRegistry(() => undefined);
    await using resolver = testResolver({ idleTimeout: 100, retries: 1 });
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
      code: "ERR_DEADLINE_EXCEEDED",
      message: `GET ${registry.url}${blobPath}: no data for 0.1 s`,
    });
  });

  // B6: idle, not total
  test("is not given up while bytes come slowly", async () => {
    await using registry = await fakeRegistry(async (_seen, response) => {
      response.writeHead(200, { "content-length": String(size) });
      for (let at = 0; at < size; at += 20_000) {
        response.write(blob.subarray(at, at + 20_000));
        await new Promise((resolve) => setTimeout(resolve, 350));
      }
      response.end();
    });
    // All bytes take longer than this; between two of them there is time for a machine that is busy.
    await using resolver = testResolver({ idleTimeout: 2500 });
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
    expect(registry.seen).toHaveLength(1);
  });
});

describe("a server that speaks no proper HTTP", () => {
  // N10
  test.each([
    ["garbage", "hello, who is there?\r\n\r\n"],
    ["a chunk size that is not hex", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"],
    ["a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"],
    ["HTTP/0.9", "just the body"],
  ])("(%s) is a network error", async (_what, text) => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(text));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const port = portOf(server);
    await using resolver = testResolver({ retries: 1 });
    await expect(fetchLayer(resolver, `127.0.0.1:${port}`)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    await new Promise((resolve) => server.close(resolve));
  });
});

test("a server that answers HEAD with a body does not spoil what comes after", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      const head = `HTTP/1.1 200 OK\r\nContent-Type: ${target.mediaType}\r\nContent-Length: ${manifest.length}\r\n`;
      const told = data.toString().startsWith("HEAD") ? `Docker-Content-Digest: ${target.digest}\r\n` : "";
      socket.write(`${head}${told}\r\n${manifest.toString()}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${portOf(server)}`;
  await using resolver = testResolver();
  for (let round = 0; round < 3; round += 1) {
    expect((await resolver.resolve(`${host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(await fetchOf(resolver.fetcher(`${host}/lib/app`), target)).toEqual(manifest);
  }
  await resolver.close();
  await new Promise((resolve) => server.close(resolve));
});

// M6
test("a manifest over the limit is not fetched", async () => {
  await using registry = await fakeRegistry((_seen, response) => send(response, 200, {}, manifest));
  await using resolver = testResolver({ maxManifestSize: 10 });
  const fetching = fetchOf(resolver.fetcher(`${registry.host}/lib/app`), target);
  await expect(fetching).rejects.toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED" });
  expect(registry.seen).toEqual([]);
});

// B9
test("no more blobs than allowed are moved at once, and manifests pass them by", async () => {
  let running = 0;
  let most = 0;
  const two = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  await using registry = await fakeRegistry(async (seen, response) => {
    if (seen.path.includes("/manifests/")) {
      send(response, 200, {}, manifest);
      return;
    }
    running += 1;
    most = Math.max(most, running);
    if (running === 2) two.resolve();
    await gate.promise;
    await new Promise((resolve) => setTimeout(resolve, 20));
    running -= 1;
    send(response, 200, {}, blob);
  });
  await using resolver = testResolver({ maxConcurrentPerHost: 2 });
  const fetcher = resolver.fetcher(`${registry.host}/lib/app`);
  const blobs = Array.from({ length: 6 }, () => fetchOf(fetcher, layer));
  await two.promise;
  await fetchOf(fetcher, target);
  expect(registry.log().filter((line) => line.includes("/blobs/"))).toHaveLength(2);
  gate.resolve();
  await Promise.all(blobs);
  expect(most).toBe(2);
});
