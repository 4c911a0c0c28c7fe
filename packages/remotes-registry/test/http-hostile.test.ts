import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { fakeRegistry, send, sendError } from "./fake-registry.ts";
import { blob, errorOf, fetchLayer, layer, manifest, target, testResolver } from "./fixtures.ts";
import { rawServer, until } from "./http-raw-server.ts";

const ok = "HTTP/1.1 200 OK\r\n";
const chunked = `${ok}transfer-encoding: chunked\r\n\r\n`;

/** Writes until nobody takes it any more; tells how much was sent. */
function endless(socket: Socket, piece: string): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece));
    if (!socket.destroyed) socket.once("drain", more);
  };
  more();
}

// N10, N02
describe("an answer that is not HTTP", () => {
  test.each([
    ["as HTTP/0.9 is not", "<html>hello</html>\n"],
    ["for its status", "HTTP/1.1 two OK\r\n\r\n"],
    ["for its version", "HTTP/7.3 200 OK\r\ncontent-length: 0\r\n\r\n"],
    ["but TLS", "\u0015\u0003\u0001\u0000\u0002\u0002\u0046"],
    ["for a length below zero", `${ok}content-length: -1\r\n\r\n`],
    ["for a length that is no number", `${ok}content-length: 0x10\r\n\r\n`],
    ["for a length beyond all numbers", `${ok}content-length: 99999999999999999999999\r\n\r\n`],
    ["for two lengths", `${ok}content-length: 1\r\ncontent-length: 2\r\n\r\nab`],
    ["for a length beside chunks", `${ok}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["for a chunk size that is no number", `${chunked}zz\r\nhello\r\n0\r\n\r\n`],
    ["for a chunk size below zero", `${chunked}-5\r\nhello\r\n0\r\n\r\n`],
    ["for a chunk size beyond all numbers", `${chunked}fffffffffffffffffff\r\nhello\r\n0\r\n\r\n`],
    ["for garbage between chunks", `${chunked}5\r\nhelloXX5\r\nhello\r\n0\r\n\r\n`],
    ["for a line break inside a header", `${ok}x-a: b\rSet-Cookie: c\r\ncontent-length: 0\r\n\r\n`],
    ["for a NUL in a header", `${ok}x-a: b\0c\r\ncontent-length: 0\r\n\r\n`],
    ["for a header without a name", `${ok}: b\r\ncontent-length: 0\r\n\r\n`],
    ["for a blank in a header's name", `${ok}x a : b\r\ncontent-length: 0\r\n\r\n`],
    ["for a protocol that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"],
  ])("%s, is a typed error, and its connection is dropped", async (_why, answer) => {
    await using server = await rawServer((socket) => socket.write(answer));
    await using resolver = testResolver({ retries: 0, idleTimeout: 5000 });
    await expect(fetchLayer(resolver, server.host)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringMatching(/^(?:registry |GET )[ -~]*$/),
    });
    await until(() => server.sockets.size === 0);
  });

  // N02: the body is whole by its own account, and short by the descriptor's
  test.each([
    ["with a length", `${ok}content-length: ${blob.byteLength}\r\n\r\nhello`],
    ["in chunks without a last one", `${chunked}5\r\nhello\r\n`],
  ])("but breaks off, %s, is a typed error", async (_how, answer) => {
    await using server = await rawServer((socket) => socket.end(answer));
    await using resolver = testResolver({ retries: 0 });
    await expect(fetchLayer(resolver, server.host)).rejects.toMatchObject({ code: "ERR_NETWORK" });
  });
});

// N10, N03: bounded memory and time
describe("an answer without end", () => {
  const limits = { retries: 0, idleTimeout: 2000 };

  test.each([
    ["headers", `x-${"a".repeat(50)}: ${"b".repeat(900)}\r\n`],
    ["one header", "b".repeat(1000)],
    ["the name of a header", "n".repeat(1000)],
  ])("of %s is refused after some kilobytes", async (what, piece) => {
    let socketOf: Socket | undefined;
    await using server = await rawServer((socket) => {
      socketOf = socket;
      socket.write(what === "one header" ? `${ok}x: ` : ok);
      endless(socket, piece);
    });
    await using resolver = testResolver(limits);
    await expect(fetchLayer(resolver, server.host)).rejects.toMatchObject({
      code: "ERR_NETWORK",
      message: expect.stringContaining("Headers Overflow"),
    });
    await until(() => server.sockets.size === 0);
    expect(socketOf?.bytesWritten).toBeLessThan(32 * 1024 * 1024);
  });

  test.each([102, 103])("of interim answers with %i is refused after some", async (status) => {
    await using server = await rawServer((socket) => endless(socket, `HTTP/1.1 ${status} Wait\r\n\r\n`));
    await using resolver = testResolver(limits);
    await expect(fetchLayer(resolver, server.host)).rejects.toMatchObject({
      code: "ERR_INVALID_DATA",
      message: `GET http://${server.host}/v2/lib/app/blobs/${layer.digest}: more than 20 interim answers`,
    });
    await until(() => server.sockets.size === 0);
  });

  test("of trailers is refused", async () => {
    const [head, tail] = [`${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`, `x: ${"b".repeat(900)}\r\n`];
    await using server = await rawServer((socket) => {
      socket.write(head);
      endless(socket, tail);
    });
    await using resolver = testResolver(limits);
    await expect(fetchLayer(resolver, server.host)).rejects.toMatchObject({ code: "ERR_NETWORK" });
    await until(() => server.sockets.size === 0);
  });

  // N03
  test("because it comes byte by byte is given up, headers being short", async () => {
    await using server = await rawServer((socket) => {
      socket.write(ok);
      const timer = setInterval(() => socket.write("x"), 20);
      socket.on("close", () => clearInterval(timer));
    });
    await using resolver = testResolver({ retries: 0, idleTimeout: 300 });
    await expect(fetchLayer(resolver, server.host)).rejects.toMatchObject({
      code: "ERR_DEADLINE_EXCEEDED",
      message: expect.stringContaining("no data for 0.3 s"),
    });
    await until(() => server.sockets.size === 0);
  });

  // N03: the status is known, its message is not worth a wait
  test("to say why it refuses does not keep us from telling that it does", { timeout: 30_000 }, async () => {
    await using server = await rawServer((socket) => {
      socket.write("HTTP/1.1 404 No\r\ncontent-length: 1000\r\n\r\n");
      const timer = setInterval(() => socket.write("x"), 50);
      socket.on("close", () => clearInterval(timer));
    });
    await using resolver = testResolver({ retries: 0 });
    await expect(fetchLayer(resolver, server.host)).rejects.toMatchObject({
      code: "ERR_NOT_FOUND",
      message: expect.stringMatching(/: 404 Not Found$/),
    });
    await until(() => server.sockets.size === 0);
  });

  test("of a manifest that drips is given up", async () => {
    await using registry = await fakeRegistry((seen, response) => {
      if (seen.method === "HEAD") {
        send(response, 405);
        return;
      }
      response.writeHead(200, { "content-type": target.mediaType, "content-length": String(manifest.byteLength) });
      let at = 0;
      const timer = setInterval(() => response.write(manifest.subarray(at, (at += 1))), 20);
      response.on("close", () => clearInterval(timer));
    });
    await using resolver = testResolver({ retries: 0, idleTimeout: 100 });
    await expect(resolver.resolve(`${registry.host}/lib/app:v1`)).rejects.toMatchObject({
      code: "ERR_DEADLINE_EXCEEDED",
      message: expect.stringContaining("the body took longer than 1 s"),
    });
  });
});

// N10, T7
test("bytes after an answer end its connection, not the next request", async () => {
  const body = Buffer.concat([
    Buffer.from(`${ok}content-length: ${blob.byteLength}\r\n\r\n`),
    blob,
    Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nX"),
  ]);
  await using server = await rawServer((socket) => socket.write(body));
  await using resolver = testResolver();
  for (let round = 0; round < 3; round += 1) expect(await fetchLayer(resolver, server.host)).toEqual(blob);
});

// A14, U-RES.8, C-RES.5: a secret that is cut or whose blanks are changed would be shown in part
describe("a secret that a registry repeats", () => {
  const secret = "planted-secret-http";
  test.each([
    ["at the end of a long text", `${"x".repeat(280)}${secret}`],
    ["in front", secret],
    ["as part of a word", `a${secret}b`],
    ["encoded", encodeURIComponent(`${secret}/+`)],
  ])("%s is not shown", async (_where, message) => {
    await using registry = await fakeRegistry((_seen, response) => sendError(response, 403, "DENIED", message));
    const credentials = async (): Promise<{ registryToken: string }> => ({
      registryToken: message.includes("%") ? `${secret}/+` : secret,
    });
    await using resolver = testResolver({ credentials });
    const failure = await errorOf(fetchLayer(resolver, registry.host));
    expect(failure).toMatchObject({ code: "ERR_PERMISSION_DENIED", message: expect.not.stringContaining("planted") });
  });
});

// Nothing that the caller gives may add a header of its own
test("a line break in what the caller wants to send is an error of the caller", async () => {
  await using registry = await fakeRegistry((_seen, response) => send(response, 200));
  await using resolver = testResolver({ userAgent: "a\r\nx-injected: 1" });
  await expect(fetchLayer(resolver, registry.host)).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringContaining("invalid user-agent header"),
  });
  expect(registry.seen).toEqual([]);
});
