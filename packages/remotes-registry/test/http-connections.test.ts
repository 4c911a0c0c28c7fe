import { describe, expect, test } from "vitest";
// Names that lead to dead addresses need a name service; the function takes another one.
import { connectToHost } from "../src/http/addresses.ts";
import { fakeRegistry, send, sendAndBreak, sendBlob } from "./fake-registry.ts";
import { blob, blobPath, errorOf, fetchLayer, fetchOf, layer, sendManifest, target, testResolver } from "./fixtures.ts";
import { blackHole, hasBlackHoles, rawServer, until } from "./http-raw-server.ts";

const never = new AbortController().signal;

// N12
describe("a name with many addresses", () => {
  const dead = Array.from({ length: 20 }, (_, index) => ({ address: `127.0.1.${index + 1}`, family: 4 }));
  const alive = { address: "127.0.0.1", family: 4 };

  test("is reached at the one that answers, after 20 that refuse", async () => {
    await using server = await rawServer(() => undefined);
    const socket = await connectToHost("registry.example", server.port, never, async () => [...dead, alive]);
    expect(socket.remoteAddress).toBe("127.0.0.1");
    socket.destroy();
  });

  test.runIf(hasBlackHoles)("is reached at the next one while the first one hangs", async () => {
    await using server = await rawServer(() => undefined);
    await using hole = await blackHole(server.port);
    const before = hole.hanging();
    const socket = await connectToHost("registry.example", server.port, never, async () => [
      ...dead.slice(0, 1),
      alive,
    ]);
    expect(socket.remoteAddress).toBe("127.0.0.1");
    socket.destroy();
    await until(() => hole.hanging() <= before);
  });

  test.runIf(hasBlackHoles)("takes turns between the families, since one of them may not work at all", async () => {
    await using server = await rawServer(() => undefined);
    await using hole = await blackHole(server.port);
    expect(hole.hanging()).toBeGreaterThan(0);
    const asIf6 = Array.from({ length: 200 }, () => ({ address: "127.0.1.1", family: 6 }));
    const socket = await connectToHost("registry.example", server.port, never, async () => [...asIf6, alive]);
    expect(socket.remoteAddress).toBe("127.0.0.1");
    socket.destroy();
  });

  test("of which none answers is an error that has all of theirs", async () => {
    const failure = await errorOf(connectToHost("registry.example", 1, never, async () => dead));
    expect(failure).toBeInstanceOf(AggregateError);
    expect(failure).toMatchObject({ errors: { length: 20 } });
  });

  test("that is looked up for too long is not waited for", async () => {
    const stop = new AbortController();
    const refused = errorOf(connectToHost("registry.example", 1, stop.signal, () => new Promise(() => undefined)));
    stop.abort("enough");
    expect(await refused).toBe("enough");
  });
});

describe("connecting", () => {
  // N12, C-RES.3
  test.runIf(hasBlackHoles)("has a total time, and its end is said to be so", async () => {
    await using server = await rawServer(() => undefined);
    await using hole = await blackHole(server.port);
    const before = hole.hanging();
    await using resolver = testResolver({ retries: 0, connectTimeout: 100 });
    await expect(resolver.resolve(`127.0.1.1:${server.port}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: `registry 127.0.1.1:${server.port}: connecting took too long`,
    });
    await until(() => hole.hanging() <= before);
  });

  // C-RES.3: a time-out is not taken for a server without TLS
  test("by TLS that takes too long does not lead to http", async () => {
    await using server = await rawServer(() => undefined);
    await using resolver = testResolver({ plainHttp: false, retries: 0, connectTimeout: 2000 });
    await expect(resolver.resolve(`${server.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringContaining("connecting took too long"),
    });
    await until(() => server.sockets.size === 0);
    // The record type of a handshake, and nothing else.
    expect(server.seen.map((request) => request.charCodeAt(0))).toEqual([0x16]);
  });
});

// T8, N15: nothing here would end by itself within the time of a test
describe("an abort leaves no socket", () => {
  const options = { connectTimeout: 600_000, idleTimeout: 600_000, retries: 3, retryDelay: 600_000 };

  test.runIf(hasBlackHoles)("while connecting", async () => {
    await using server = await rawServer(() => undefined);
    await using hole = await blackHole(server.port);
    await using resolver = testResolver(options);
    const before = hole.hanging();
    const stop = new AbortController();
    const refused = errorOf(resolver.resolve(`127.0.1.1:${server.port}/lib/app:v1`, { signal: stop.signal }));
    await until(() => hole.hanging() > before);
    stop.abort("enough");
    expect(await refused).toBe("enough");
    await until(() => hole.hanging() <= before);
  });

  test("during the TLS handshake, of many that wait for one host", async () => {
    await using server = await rawServer(() => undefined);
    await using resolver = testResolver({ ...options, plainHttp: false });
    const stops = Array.from({ length: 5 }, () => new AbortController());
    const refused = stops.map(({ signal }) => errorOf(resolver.resolve(`${server.host}/lib/app:v1`, { signal })));
    await until(() => server.seen.length === 5);
    for (const stop of stops) stop.abort("enough");
    expect(await Promise.all(refused)).toEqual(Array.from({ length: 5 }, () => "enough"));
    await until(() => server.sockets.size === 0);
  });

  test("while waiting for headers, and in the middle of them", async () => {
    await using server = await rawServer((socket) => socket.write("HTTP/1.1 200 OK\r\nx-a: b"));
    await using resolver = testResolver(options);
    const stop = new AbortController();
    const refused = errorOf(fetchOf(resolver.fetcher(`${server.host}/lib/app`), layer, stop.signal));
    await until(() => server.seen.length === 1);
    stop.abort("enough");
    expect(await refused).toBe("enough");
    await until(() => server.sockets.size === 0);
  });

  test("while a body comes, also one that nobody reads", async () => {
    await using server = await rawServer((socket) => socket.write("HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nhello"));
    await using resolver = testResolver({ ...options, retries: 0 });
    const stop = new AbortController();
    const refused = errorOf(fetchOf(resolver.fetcher(`${server.host}/lib/app`), layer, stop.signal));
    await until(() => server.seen.length === 1);
    stop.abort("enough");
    expect(await refused).toBe("enough");
    await until(() => server.sockets.size === 0);
  });

  test("between two attempts", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 503, { connection: "close" }));
    const stop = new AbortController();
    await using resolver = testResolver({ ...options, onNotice: () => stop.abort("enough") });
    const refused = errorOf(fetchOf(resolver.fetcher(`${registry.host}/lib/app`), layer, stop.signal));
    expect(await refused).toBe("enough");
    await until(() => registry.sockets.size === 0);
    expect(registry.seen).toHaveLength(1);
  });

  test("and does not disturb who still waits for the same host", async () => {
    await using registry = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
    await using resolver = testResolver(options);
    const stop = new AbortController();
    const [one, two] = [0, 1].map((index) =>
      errorOf(fetchOf(resolver.fetcher(`${registry.host}/lib/app`), layer, index === 0 ? stop.signal : undefined)),
    );
    await Promise.resolve();
    stop.abort("enough");
    expect(await one).toBe("enough");
    expect(await two).toBeUndefined();
    expect(await fetchLayer(resolver, registry.host)).toEqual(blob);
  });
});

test("closing ends what is being connected, and later requests are refused", async () => {
  await using server = await rawServer(() => undefined);
  const resolver = testResolver({ plainHttp: false, connectTimeout: 600_000 });
  const running = errorOf(resolver.resolve(`${server.host}/lib/app:v1`));
  await until(() => server.seen.length === 1);
  await resolver.close();
  expect(await running).toMatchObject({ code: "ERR_ABORTED", message: `registry ${server.host}: closed meanwhile` });
  await until(() => server.sockets.size === 0);
  await expect(resolver.resolve(`${server.host}/lib/app:v1`)).rejects.toMatchObject({
    code: "ERR_FAILED_PRECONDITION",
    message: `registry ${server.host}: closed`,
  });
});

// T7
test("1,000 requests of every kind leave no open socket after close", async () => {
  await using storage = await fakeRegistry((seen, response) => sendBlob(seen, response, blob));
  await using registry = await fakeRegistry((seen, response) => {
    if (seen.path.startsWith("/v2/found/")) return sendManifest(seen, response);
    if (seen.path.startsWith("/v2/moved/")) return send(response, 307, { location: `${storage.url}/blob` });
    if (seen.path.startsWith("/v2/broken/"))
      return sendAndBreak(response, 200, { "content-length": "200000" }, blob.subarray(0, 9));
    if (seen.path.startsWith("/v2/hung/")) return undefined;
    return send(response, 404, {}, "x".repeat(100_000));
  });
  const resolver = testResolver({ retries: 0, maxConcurrentPerHost: 20 });
  const kinds: ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => resolver.resolve(`${registry.host}/found/app:v1`, { signal }),
    (signal) => fetchOf(resolver.fetcher(`${registry.host}/moved/app`), layer, signal),
    (signal) => fetchOf(resolver.fetcher(`${registry.host}/broken/app`), layer, signal),
    (signal) => fetchOf(resolver.fetcher(`${registry.host}/hung/app`), layer, signal),
    (signal) => fetchOf(resolver.fetcher(`${registry.host}/missing/app`), layer, signal),
  ];
  for (let round = 0; round < 50; round += 1) {
    const stop = new AbortController();
    // All of them may be asked at once, so that so many arrive; where the others are at the abort differs.
    const arrived = registry.seen.length + (round % 20);
    const running = Array.from({ length: 20 }, (_, index) =>
      errorOf(kinds[index % kinds.length]?.(stop.signal) ?? Promise.resolve()),
    );
    await until(() => registry.seen.length >= arrived);
    stop.abort("enough");
    await Promise.all(running);
  }
  // Nothing piles up either: what is kept for the next request is no more than ran at once.
  expect(registry.sockets.size).toBeLessThanOrEqual(60);
  await resolver.close();
  await until(() => registry.sockets.size === 0 && storage.sockets.size === 0);
  expect(registry.seen.length).toBeGreaterThan(200);
});

function dropFirstOf(drops: number): ReturnType<typeof fakeRegistry> {
  let answered = 0;
  let dropped = 0;
  return fakeRegistry((seen, response) => {
    if (answered > 0 && dropped < drops) {
      dropped += 1;
      seen.socket.destroy();
      return;
    }
    answered += 1;
    sendManifest(seen, response);
  });
}

// N13: one repetition, at once and unnoticed, on a connection that had carried something
describe("a server that has just closed a kept connection", () => {
  test("is asked again without anybody noticing", async () => {
    await using registry = await dropFirstOf(1);
    const notices: unknown[] = [];
    await using resolver = testResolver({ retries: 0, onNotice: (notice) => notices.push(notice) });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(registry.seen).toHaveLength(3);
    expect(notices).toEqual([]);
  });

  test("is asked again once only", async () => {
    await using registry = await dropFirstOf(2);
    await using resolver = testResolver({ retries: 0 });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(registry.seen).toHaveLength(3);
  });

  test("at the first request on a connection is none", async () => {
    await using server = await rawServer((socket) => socket.destroy());
    await using resolver = testResolver({ retries: 0 });
    await expect(resolver.resolve(`${server.host}/lib/app:v1`)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    expect(server.seen).toHaveLength(1);
  });
});

// B6, G-2: idle is not total, for what is sent neither
test("an upload that goes on slowly is not taken for silence", async () => {
  const received: number[] = [];
  await using registry = await fakeRegistry((seen, response) => {
    if (seen.method === "HEAD") send(response, 404);
    else if (seen.method === "POST") send(response, 202, { location: "/v2/lib/app/blobs/uploads/1" });
    else {
      received.push(seen.body.byteLength);
      send(response, 201, { location: blobPath });
    }
  });
  await using resolver = testResolver({ retries: 0, idleTimeout: 400 });
  const outcome = await resolver.pusher(`${registry.host}/lib/app`).push(layer, {
    body: async function* (offset) {
      for (let at = offset; at < blob.byteLength; at += 10_000) {
        await new Promise((resolve) => setTimeout(resolve, 60));
        yield blob.subarray(at, at + 10_000);
      }
    },
  });
  expect(outcome).toBe("sent");
  expect(received).toEqual([blob.byteLength]);
});
