import { createServer } from "node:net";
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { fakeRegistry, portOf, send, sendBlob, sendError } from "./fake-registry.ts";
import { blob, errorOf, fetchLayer, fetchOf, layer, sendManifest, target, testResolver } from "./fixtures.ts";

describe("a request that fails", () => {
  // T2, N04
  test.each([408, 429, 500, 502, 503, 504])("with %i is repeated", async (status) => {
    await using registry = await fakeRegistry((seen, response) => {
      if (registry.seen.length < 3) send(response, status);
      else sendManifest(seen, response);
    });
    await using resolver = testResolver();
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(registry.seen).toHaveLength(3);
  });

  // T2
  test.each([
    [400, "ERR_INVALID_ARGUMENT"],
    [404, "ERR_NOT_FOUND"],
    [405, "ERR_NOT_IMPLEMENTED"],
    [410, "ERR_NOT_FOUND"],
    [418, "ERR_INVALID_ARGUMENT"],
    [501, "ERR_NOT_IMPLEMENTED"],
  ])("with %i is not repeated and is %s", async (status, code) => {
    await using registry = await fakeRegistry((_seen, response) => send(response, status));
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code });
    expect(registry.seen).toHaveLength(1);
  });

  // T2: the budget is used up
  test.each([
    [429, "ERR_RATE_LIMITED"],
    [503, "ERR_NETWORK"],
  ])("with %i for ever ends as %s", async (status, code) => {
    await using registry = await fakeRegistry((_seen, response) => send(response, status));
    await using resolver = testResolver({ retries: 2 });
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code });
    expect(registry.seen).toHaveLength(3);
  });

  // T1, G-20
  test("and is told when to come back does so, for seconds as for a date", async () => {
    const times: number[] = [];
    await using registry = await fakeRegistry((seen, response) => {
      times.push(Date.now());
      if (times.length === 1) send(response, 429, { "retry-after": "1" });
      else if (times.length === 2) send(response, 503, { "retry-after": new Date(Date.now() + 1500).toUTCString() });
      else sendManifest(seen, response);
    });
    await using resolver = testResolver();
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990);
    expect(times).toHaveLength(3);
  });

  // T1, G-20
  test("and is told to come back too late fails at once and says when", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.setHeader("retry-after", "3600");
      sendError(response, 429, "TOOMANYREQUESTS", "slow down");
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
      code: "ERR_RATE_LIMITED",
      message: expect.stringMatching(/429 Too Many Requests: TOOMANYREQUESTS: slow down \(retry after 3600\)$/),
    });
    expect(registry.seen).toHaveLength(1);
  });

  // N13, T2
  test("because its connection was just closed is sent again", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (registry.seen.length === 2) response.destroy();
      else sendManifest(seen, response);
    });
    await using resolver = testResolver();
    for (let round = 0; round < 3; round += 1) await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(registry.seen).toHaveLength(4);
  });

  // M14: Harbor and Red Hat
  test("as unknown but means not found is not found", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      sendError(response, 400, "UNKNOWN", "artifact lib/app not found");
    });
    await using resolver = testResolver();
    await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
  });

  // M14: what a server says must not steer a terminal, or fill it
  test.each([
    ["text/plain", "gone\u001b[2J\r\nreally", "404 Not Found: gone [2J really"],
    ["text/html", "<html>gone</html>", "404 Not Found"],
    ["application/json", '{"errors": "what"}', "404 Not Found"],
    ["application/json", '{"errors": [null, {"code": 7}, {"message": "m"}]}', "404 Not Found: m"],
    ["text/plain", "x".repeat(5000), `404 Not Found: ${"x".repeat(300)}`],
  ])("with a body of %s is told in one clean line", async (type, body, end) => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 404, { "content-type": type }, body));
    await using resolver = testResolver();
    const failure: unknown = await fetchLayer(resolver, registry.host).catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: `GET ${registry.url}/v2/lib/app/blobs/${layer.digest}: ${end}` });
  });
});

describe("a registry that cannot be reached", () => {
  test("because the name does not exist is said to be so", async () => {
    await using resolver = testResolver({ retries: 0 });
    await expect(resolver.resolve("no-such-host.invalid/lib/app:v1")).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringMatching(/^registry no-such-host\.invalid: host not found/),
    });
  });

  test("because nobody listens is said to be so, at once", async () => {
    await using resolver = testResolver();
    // No port that the system gives out: any server that starts meanwhile could be given that.
    await expect(resolver.resolve("127.0.0.1:1/lib/app:v1")).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: "registry 127.0.0.1:1: connection refused",
    });
  });
});

/** Accepts connections and says nothing. */
async function mute(): Promise<{ readonly host: string; readonly sockets: Set<Socket> } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = portOf(server);
  return {
    host: `127.0.0.1:${port}`,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

// T8, N15
describe("an abort", () => {
  const reason = new Error("enough");

  test("before the request asks nobody", async () => {
    await using registry = await fakeRegistry(sendManifest);
    await using resolver = testResolver();
    const signal = AbortSignal.abort(reason);
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`, { signal })).rejects.toBe(reason);
    await expect(fetchOf(resolver.fetcher(`${registry.host}/a/b`), layer, signal)).rejects.toBe(reason);
    expect(registry.seen).toEqual([]);
  });

  test("while waiting for an answer ends the request and its connection", async () => {
    await using registry = await mute();
    await using resolver = testResolver();
    const stop = new AbortController();
    const resolving = resolver.resolve(`${registry.host}/lib/app:v1`, { signal: stop.signal });
    const refused = errorOf(resolving);
    await until(() => registry.sockets.size === 1);
    stop.abort(reason);
    expect(await refused).toBe(reason);
    await until(() => registry.sockets.size === 0);
  });

  test("while the TLS handshake hangs does not wait for it", async () => {
    await using registry = await mute();
    await using resolver = testResolver({ plainHttp: false });
    const stop = new AbortController();
    const resolving = resolver.resolve(`${registry.host}/lib/app:v1`, { signal: stop.signal });
    const refused = errorOf(resolving);
    await until(() => registry.sockets.size === 1);
    stop.abort(reason);
    expect(await refused).toBe(reason);
  });

  test("while a body comes ends it, and other transfers go on", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.includes("/other/")) setTimeout(() => sendBlob(seen, response, blob), 30);
      else {
        response.writeHead(200, { "content-length": String(blob.byteLength) });
        response.write(blob.subarray(0, 1000));
      }
    });
    await using resolver = testResolver();
    const stop = new AbortController();
    const fetching = fetchOf(resolver.fetcher(`${registry.host}/lib/app`), layer, stop.signal);
    const other = fetchOf(resolver.fetcher(`${registry.host}/other/app`), layer);
    const refused = errorOf(fetching);
    await until(() => registry.seen.length === 2);
    stop.abort(reason);
    expect(await refused).toBe(reason);
    expect(await other).toEqual(blob);
  });

  test.each([undefined, "enough", 7, { why: "enough" }])("for the reason %j rejects with just that", async (why) => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.path.includes("/silent/")) return;
      response.writeHead(200, { "content-length": String(blob.byteLength) });
      response.write(blob.subarray(0, 1000));
    });
    await using resolver = testResolver();
    for (const repository of ["silent/app", "lib/app"]) {
      const stop = new AbortController();
      const fetching = errorOf(fetchOf(resolver.fetcher(`${registry.host}/${repository}`), layer, stop.signal));
      const before = registry.seen.length;
      await until(() => registry.seen.length > before);
      await new Promise((resolve) => setTimeout(resolve, 20));
      stop.abort(why);
      expect(await fetching).toBe(stop.signal.reason);
    }
  });

  test("while waiting to try again ends the wait", async () => {
    await using registry = await fakeRegistry((_seen, response) => send(response, 429, { "retry-after": "50" }));
    await using resolver = testResolver();
    const stop = new AbortController();
    const resolving = resolver.resolve(`${registry.host}/lib/app:v1`, { signal: stop.signal });
    const refused = errorOf(resolving);
    await until(() => registry.seen.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    stop.abort(reason);
    expect(await refused).toBe(reason);
  });

  test("while waiting for its turn leaves the queue", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(200, { "content-length": String(blob.byteLength) });
      response.write(blob.subarray(0, 10));
    });
    await using resolver = testResolver({ maxConcurrentPerHost: 1 });
    const first = new AbortController();
    const second = new AbortController();
    const fetcher = resolver.fetcher(`${registry.host}/lib/app`);
    const holding = errorOf(fetchOf(fetcher, layer, first.signal));
    await until(() => registry.seen.length === 1);
    const waiting = errorOf(fetchOf(fetcher, layer, second.signal));
    second.abort(reason);
    expect(await waiting).toBe(reason);
    first.abort(reason);
    expect(await holding).toBe(reason);
    expect(registry.seen).toHaveLength(1);
  });
});

describe("connections", () => {
  // T7
  test("are used again, also after answers that nobody reads", async () => {
    await using registry = await fakeRegistry((_seen, response) => sendError(response, 404, "NAME_UNKNOWN", "no"));
    await using resolver = testResolver();
    for (let round = 0; round < 50; round += 1) {
      await expect(resolver.resolve(`${registry.host}/lib/app:v${round}`)).rejects.toMatchObject({
        code: "ERR_NOT_FOUND",
      });
    }
    for (let round = 0; round < 50; round += 1) {
      await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    }
    expect(registry.seen).toHaveLength(100);
    expect(new Set(registry.seen.map(({ socket }) => socket)).size).toBeLessThanOrEqual(3);
  });

  test("are gone after close, which may be called twice, and what runs fails", async () => {
    await using registry = await fakeRegistry((_seen, response) => {
      response.writeHead(200, { "content-length": String(blob.byteLength) });
      response.write(blob.subarray(0, 10));
    });
    const resolver = testResolver({ retries: 0 });
    const fetching = errorOf(fetchLayer(resolver, registry.host));
    await until(() => registry.seen.length === 1);
    await resolver.close();
    await resolver.close();
    expect(await fetching).toBeInstanceOf(Error);
    await until(() => registry.sockets.size === 0);
  });

  // T6
  test("carry the user agent and headers that the caller wants", async () => {
    await using registry = await fakeRegistry(sendManifest);
    await using resolver = testResolver({ userAgent: "mine/1", headers: { "X-Meta": "a" } });
    await resolver.resolve(`${registry.host}/lib/app:v1`);
    expect(registry.seen[0]?.headers).toMatchObject({ "user-agent": "mine/1", "x-meta": "a" });
  });
});
