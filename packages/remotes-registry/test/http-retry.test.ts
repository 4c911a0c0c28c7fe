import type { Socket } from "node:net";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import { describe, expect, test } from "vitest";
import type { RegistryNotice } from "@varve/remotes-registry";
// What no caller of the package does shows only in what is below it.
import { registryItself, RegistryHosts } from "../src/hosts/registry-hosts.ts";
import { Transport } from "../src/http/transport.ts";
import { settingsFrom } from "../src/options.ts";
import { fakeRegistry, send } from "./fake-registry.ts";
import { errorOf, sendManifest, target, testResolver } from "./fixtures.ts";
import { rawServer } from "./http-raw-server.ts";

/** How long one is told to wait before the first repetition; the wait itself is cut short. */
async function delayFor(headers: Record<string, string>, retryDelay: number): Promise<unknown> {
  const stop = new AbortController();
  const delays: unknown[] = [];
  const onNotice = (notice: RegistryNotice): void => {
    if (notice.type === "retry") delays.push(notice.delayMs);
    stop.abort("enough");
  };
  await using registry = await fakeRegistry((_seen, response) => send(response, 503, headers));
  await using resolver = testResolver({ retryDelay, onNotice });
  const failure = await errorOf(resolver.resolve(`${registry.host}/lib/app:v1`, { signal: stop.signal }));
  expect(failure).toBe("enough");
  expect(delays).toHaveLength(1);
  return delays[0];
}

function between(from: number, to: number): (value: unknown) => boolean {
  return (value) => typeof value === "number" && value >= from && value <= to;
}

// T1, G-20
describe("Retry-After", () => {
  test("is waited for, and a little longer, so that not all come back together", async () => {
    expect(await delayFor({ "retry-after": "7" }, 1000)).toSatisfy(between(7500, 8000));
    expect(await delayFor({ "retry-after": " 0 " }, 1000)).toSatisfy(between(500, 1000));
  });

  test("is a time of the server's own clock", async () => {
    const [date, then] = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:47 GMT"];
    expect(await delayFor({ date, "retry-after": then }, 10)).toSatisfy(between(10_000, 10_010));
    expect(await delayFor({ date: then, "retry-after": date }, 10)).toSatisfy(between(0, 10));
  });

  test.each(["soon", "-5", "1e3", "7.5", "99999999999", ""])("that says %j says nothing", async (header) => {
    expect(await delayFor({ "retry-after": header }, 100)).toSatisfy(between(50, 100));
  });

  test.each([429, 503])("beyond what the caller waits for is told with the %i", async (status) => {
    await using registry = await fakeRegistry((_seen, response) => send(response, status, { "retry-after": "8" }));
    await using resolver = testResolver({ maxRetryAfter: 7000 });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      message: expect.stringMatching(/\(retry after 8\)/),
    });
    expect(registry.seen.filter(({ method }) => method === "HEAD")).toHaveLength(1);
  });
});

const half = "HTTP/1.1 200 OK\r\ncontent-";

// C-RES.6, T2, N01, N03
describe("a connection that fails before there is an answer", () => {
  const ways: [string, (socket: Socket) => void][] = [
    ["by its end", (socket) => socket.end()],
    ["by its end in the middle of the headers", (socket) => socket.end(half)],
    ["by a reset", (socket) => socket.resetAndDestroy()],
    ["by a reset after the first byte", (socket) => socket.write("H", () => socket.resetAndDestroy())],
    ["by a reset in the middle of the headers", (socket) => socket.write(half, () => socket.resetAndDestroy())],
    ["by silence", () => undefined],
    ["by what is not HTTP", (socket) => socket.write("what?\r\n\r\n")],
  ];
  const headers = [
    "HTTP/1.1 200 OK",
    `content-type: ${target.mediaType}`,
    `docker-content-digest: ${target.digest}`,
    `content-length: ${target.size}`,
  ];

  test.each(ways)("%s is made again", async (_how, fail) => {
    await using server = await rawServer((socket) => {
      if (server.seen.length < 3) fail(socket);
      else socket.write(`${headers.join("\r\n")}\r\n\r\n`);
    });
    await using resolver = testResolver({ retries: 2, idleTimeout: 500 });
    expect((await resolver.resolve(`${server.host}/lib/app:v1`)).descriptor).toEqual(target);
    expect(server.seen).toHaveLength(3);
  });

  test.each(ways)("%s is made again as often as the caller wants, and no more", async (_how, fail) => {
    await using server = await rawServer((socket) => fail(socket));
    await using resolver = testResolver({ retries: 1, idleTimeout: 500 });
    await expect(resolver.resolve(`${server.host}/lib/app:v1`)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(?:NETWORK|DEADLINE_EXCEEDED)$/),
    });
    expect(server.seen).toHaveLength(2);
  });
});

async function* zeros(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(target.size);
}

// T2: what an answer to it did is not known
test("a POST whose kept connection breaks is not sent again unasked", async () => {
  await using registry = await fakeRegistry((seen, response) => {
    if (seen.method === "HEAD") send(response, 404);
    else if (seen.method === "POST") seen.socket.destroy();
    else sendManifest(seen, response);
  });
  await using resolver = testResolver({ retries: 0 });
  const layer = { ...target, mediaType: "application/vnd.oci.image.layer.v1.tar" };
  await errorOf(resolver.pusher(`${registry.host}/lib/app:v1`).push(layer, { body: zeros }));
  expect(registry.log().filter((line) => line.startsWith("POST"))).toHaveLength(1);
});

// T2, P4: nothing was sent yet, and an upload that nobody goes on with is forgotten
test("an upload is begun again when the registry is busy", async () => {
  let posts = 0;
  await using registry = await fakeRegistry((seen, response) => {
    if (seen.method === "HEAD") return send(response, 404);
    if (seen.method === "PUT") return send(response, 201);
    posts += 1;
    return posts < 3 ? send(response, 503) : send(response, 202, { location: "/v2/lib/app/blobs/uploads/1" });
  });
  await using resolver = testResolver();
  const bytes = Buffer.alloc(target.size);
  const layer = { mediaType: mediaTypes.ociLayer, digest: digestOf(bytes), size: bytes.byteLength };
  await resolver.pusher(`${registry.host}/lib/app`).push(layer, { body: zeros });
  expect(posts).toBe(3);
});

// T2
test.each([
  ["GET", undefined, 3],
  ["DELETE", undefined, 3],
  ["GET", false, 1],
  ["POST", undefined, 1],
  ["PATCH", undefined, 1],
  ["POST", true, 3],
] as const)("a %s that may be repeated: %s, is sent %i times", async (method, repeatable, times) => {
  await using registry = await fakeRegistry((_seen, response) => send(response, 503));
  const settings = settingsFrom({ plainHttp: true, retryDelay: 1, retries: 2 });
  const transport = new Transport(settings);
  const hosts = new RegistryHosts(settings, { transport: (host, endpoint) => transport.forEndpoint(host, endpoint) });
  const { host } = hosts.route(registryItself(registry.host), registry.host, "lib/app");
  const reply = await host.send({ method, repeatable, repository: "lib/app", target: "x", purpose: "push" }, true);
  await reply.discard();
  await transport.close();
  expect(reply.status).toBe(503);
  expect(registry.seen).toHaveLength(times);
});

// Without this, what is NaN would be a limit that nothing reaches.
test.each([
  ["retries", Number.NaN],
  ["retries", -1],
  ["retryDelay", Number.NaN],
  ["maxRetryAfter", Number.NaN],
  ["maxManifestSize", Number.NaN],
  ["idleTimeout", 0],
  ["connectTimeout", 0],
])("the option %s is not taken as %d", (name, value) => {
  expect(() => testResolver({ [name]: value })).toThrow(`option ${name}: ${value}: needs a number`);
});

// Node warns of timers that are to wait longer than it can count, and lets them fire at once.
test.each([2 ** 31, Number.POSITIVE_INFINITY])(
  "times of %d milliseconds are long, not over at once",
  async (forEver) => {
    const warnings: string[] = [];
    const onWarning = ({ name }: Error): void => void warnings.push(name);
    process.on("warning", onWarning);
    await using registry = await fakeRegistry((seen, response) => {
      sendManifest(seen, response, { "docker-content-digest": "" });
    });
    await using resolver = testResolver({ connectTimeout: forEver, idleTimeout: forEver, maxRetryAfter: forEver });
    expect((await resolver.resolve(`${registry.host}/lib/app:v1`)).descriptor).toEqual(target);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  },
);
