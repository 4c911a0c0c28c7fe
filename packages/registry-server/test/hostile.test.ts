import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { digestOf } from "@varve/digest";
import { basicAuthentication } from "@varve/registry-server";
import { describe, expect, test } from "vitest";
import { artifactOf, codeOf, emptyConfig, indexOf, manifestType, startServer } from "./harness.ts";
import type { Harness } from "./harness.ts";

const digest = digestOf("x");
const refusing = basicAuthentication({ verify: () => false });

interface Conversation {
  readonly socket: Socket;
  /** Everything that has come so far. */
  readonly heard: () => string;
  /** Resolves with all that has come, and whether it ended with an error. */
  readonly closed: Promise<readonly [text: string, isBroken: boolean]>;
}

function talk(registry: Harness): Conversation {
  const socket = createConnection(registry.server.address?.port ?? 0, "127.0.0.1");
  let text = "";
  let isBroken = false;
  socket.on("data", (chunk) => {
    text += chunk.toString();
  });
  socket.on("error", () => {
    isBroken = true;
  });
  const closed = new Promise<readonly [string, boolean]>((resolve) => {
    socket.on("close", () => resolve([text, isBroken]));
  });
  return { socket, heard: () => text, closed };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

function request(target: string, headers = "", method = "GET"): string {
  return `${method} ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
}

describe("targets", () => {
  test.each([
    "/v2/a/../b/tags/list",
    "/v2/a/./tags/list",
    "/v2/a/%2e%2E/b/tags/list",
    "/v2/a\\tags\\list",
    "/v2/a/tags/list#x",
    "/v2/a/tags/list/",
    "/v2//a/tags/list",
    "//v2/a/tags/list",
    "/v2/a/tags/%6Cist",
    "/v1/_ping",
    "http://elsewhere/v2/",
    "*",
  ])("%s is none of the API, or not a name", async (target) => {
    await using registry = await startServer();
    await registry.pushBlob("b", Buffer.from("x"));
    const { socket, closed } = talk(registry);
    socket.write(request(target, "Connection: close\r\n"));
    const [text] = await closed;
    expect(text).toMatch(/^HTTP\/1\.1 (?:404 Not Found[^]*"UNSUPPORTED"|400 Bad Request[^]*"NAME_INVALID")/);
  });

  test.each([`blobs/${digest}`, "manifests/v1", "tags/list", `referrers/${digest}`])(
    "a query with anything in it does not change what %s is",
    async (path) => {
      await using registry = await startServer();
      const query = "?ns=..%2f..&n=-1&last=%00&artifactType=%0d%0aX:y&digest=../&mount=x&tag=%2e";
      const answer = await registry.ask("GET", `a/${path}${query}`);
      expect(answer.headers.get("x")).toBeNull();
      expect([200, 400, 404]).toContain(answer.status);
    },
  );
});

describe("requests that are refused", () => {
  test("a client that has sent a large body sees why", async () => {
    await using registry = await startServer({ authenticate: refusing });
    const { socket, closed } = talk(registry);
    const body = Buffer.alloc(4 * 1024 * 1024);
    socket.write(request("/v2/a/blobs/uploads/?digest=x", `Content-Length: ${body.byteLength}\r\n`, "POST"));
    socket.write(body);
    const [text, isBroken] = await closed;
    expect(text).toMatch(/^HTTP\/1\.1 401 [^]*connection: close[^]*"UNAUTHORIZED"/i);
    expect(isBroken).toBe(false);
    expect(registry.records).toMatchObject([{ status: 401, received: 0 }]);
  });

  test("a client that never stops sending is cut off", async () => {
    await using registry = await startServer({ authenticate: refusing });
    const { socket, closed, heard } = talk(registry);
    const chunk = Buffer.alloc(64 * 1024);
    socket.write(request("/v2/a/blobs/uploads/", "Content-Length: 99999999999\r\n", "POST"));
    const send = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on("drain", send);
    send();
    await closed;
    expect(heard()).toMatch(/^HTTP\/1\.1 401 /);
  });

  test("a client that waits for a word before it sends is told without sending", async () => {
    await using registry = await startServer({ maxBlobSize: 10 });
    const { socket, closed } = talk(registry);
    const headers = "Content-Length: 5000000000\r\nExpect: 100-continue\r\n";
    socket.write(request(`/v2/a/blobs/uploads/?digest=${digest}`, headers, "POST"));
    const [text] = await closed;
    expect(text).toMatch(/^HTTP\/1\.1 413 [^]*"SIZE_INVALID"/);
  });

  test("a client that waits for a word and may send is told to", async () => {
    await using registry = await startServer();
    const { socket, heard } = talk(registry);
    const headers = "Content-Length: 1\r\nExpect: 100-continue\r\n";
    socket.write(request(`/v2/a/blobs/uploads/?digest=${digest}`, headers, "POST"));
    await until(() => heard() === "HTTP/1.1 100 Continue\r\n\r\n");
    socket.write("x");
    await until(() => heard().includes("201 Created"));
    expect((await registry.ask("HEAD", `a/blobs/${digest}`)).status).toBe(200);
    socket.destroy();
  });

  test("HEAD never has a body, whatever is wrong", async () => {
    await using registry = await startServer();
    const { socket, closed } = talk(registry);
    for (const target of ["/v2/x/y/z", `/v2/a/blobs/${digest}`, "/v2/a/manifests/v1", "/v2/A/tags/list"]) {
      socket.write(request(target, "", "HEAD"));
    }
    socket.write(request("/v2/", "Connection: close\r\n", "HEAD"));
    const [text] = await closed;
    const answers = text.split("\r\n\r\n");
    expect(answers.map((answer) => answer.slice(9, 12))).toEqual(["404", "404", "404", "400", "200", ""]);
  });

  test("requests that are sent all at once are answered in order", async () => {
    await using registry = await startServer();
    const blob = await registry.pushBlob("a", Buffer.from("x"));
    const { socket, closed } = talk(registry);
    socket.write(
      request(`/v2/a/blobs/${blob}`) +
        request("/v2/a/manifests/v1", "Content-Length: 2\r\n", "PUT") +
        "{}" +
        request("/v2/a/tags/list", "Connection: close\r\n"),
    );
    const [text] = await closed;
    expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(["200", "400", "404"]);
  });

  test.each([
    ["headers that are huge", `X: ${"y".repeat(20_000)}\r\n`, "431"],
    ["two lengths", "Content-Length: 1\r\nContent-Length: 2\r\n", "400"],
    ["a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "400"],
    ["a negative length", "Content-Length: -1\r\n", "400"],
  ])("%s are not read", async (_, headers, status) => {
    await using registry = await startServer();
    const { socket, closed } = talk(registry);
    socket.write(request("/v2/a/blobs/uploads/", headers, "POST"));
    expect((await closed)[0]).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(registry.records).toEqual([]);
  });
});

async function begin(registry: Harness): Promise<string> {
  const answer = await registry.ask("POST", "a/blobs/uploads/");
  return (answer.headers.get("location") ?? "").replace("/v2/", "");
}

describe("limits", () => {
  test("a blob that is too long is refused, announced or not, and its upload ends", async () => {
    await using registry = await startServer({ maxBlobSize: 1000 });
    const single = await registry.ask("POST", `a/blobs/uploads/?digest=${digest}`, { body: "x".repeat(1001) });
    expect([single.status, await codeOf(single)]).toEqual([413, "SIZE_INVALID"]);
    const path = await begin(registry);
    expect((await registry.ask("PATCH", path, { body: "x".repeat(600) })).status).toBe(202);
    expect((await registry.ask("PATCH", path, { body: "x".repeat(600) })).status).toBe(413);
    const stream = ReadableStream.from([Buffer.alloc(300), Buffer.alloc(300)]);
    const sent = await fetch(`${registry.url}${path}`, { method: "PATCH", body: stream, duplex: "half" });
    expect(sent.status).toBe(413);
    expect((await registry.ask("GET", path)).status).toBe(404);
    expect(registry.content.ingests.size).toBe(0);
  });

  test("too many uploads are told when to come again", async () => {
    await using registry = await startServer({ maxUploads: 1 });
    await begin(registry);
    const answer = await registry.ask("POST", "a/blobs/uploads/");
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "10"]);
  });

  test("an upload that nobody continues is dropped without being asked", async () => {
    await using registry = await startServer({ uploadIdleTimeout: 10 });
    const path = await begin(registry);
    await registry.ask("PATCH", path, { body: "x" });
    expect(registry.content.ingests.size).toBe(1);
    await until(() => registry.content.ingests.size === 0);
    expect((await registry.ask("GET", path)).status).toBe(404);
  });

  test("an upload that is cancelled while it is written is gone, and its writer is told", async () => {
    await using registry = await startServer();
    const path = await begin(registry);
    const { socket, heard } = talk(registry);
    socket.write(request(`/v2/${path}`, "Content-Length: 10\r\n", "PATCH"));
    socket.write("12345");
    await until(() => [...registry.content.ingests.values()].flat().length > 0);
    expect((await registry.ask("DELETE", path)).status).toBe(204);
    socket.write("67890");
    await until(() => heard().includes("BLOB_UPLOAD_UNKNOWN"));
    expect(heard()).toMatch(/^HTTP\/1\.1 404 /);
    socket.destroy();
  });

  test("a body that stops coming is given up, and the upload keeps what came", async () => {
    await using registry = await startServer({ idleTimeout: 300 });
    const path = await begin(registry);
    // On a machine that is busy the time may be over before anything was read: then nothing has come.
    while ([...registry.content.ingests.values()].flat().length === 0) {
      const { socket, closed } = talk(registry);
      socket.write(`${request(`/v2/${path}`, "Content-Length: 10\r\n", "PATCH")}12345`);
      await closed;
    }
    await until(() => registry.records.at(-1)?.received === 5);
    expect((await registry.ask("GET", path)).headers.get("range")).toBe("0-4");
  });

  test("connections beyond the limit are closed", async () => {
    await using registry = await startServer({ maxConnections: 1 });
    const first = talk(registry);
    first.socket.write(request("/v2/"));
    await until(() => first.heard() !== "");
    const second = talk(registry);
    expect(await second.closed).toEqual(["", expect.anything()]);
    first.socket.destroy();
  });

  test("manifests that come slowly do not fill the memory, and who comes then is told to come again", async () => {
    await using registry = await startServer({ maxManifestSize: 1000 });
    const head = "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    const slow = Array.from({ length: 33 }, () => talk(registry));
    for (const { socket } of slow) socket.write(`${head}${"x".repeat(990)}`);
    await until(() => slow.some(({ heard }) => heard().startsWith("HTTP/1.1 429")));
    for (const { socket } of slow) socket.destroy();
    // What they held is given back.
    await until(() => registry.records.length === 33);
    await registry.pushBlob("a", emptyConfig);
    await registry.pushManifest("a", artifactOf({}), "v1");
    expect((await registry.ask("GET", "a/manifests/v1")).status).toBe(200);
  });

  test("a manifest that names very many things is malformed", async () => {
    await using registry = await startServer();
    const body = indexOf(Array.from({ length: 10_001 }, (_, index) => digestOf(`${index}`)));
    const answer = await registry.ask("PUT", "a/manifests/v1", { body });
    expect([answer.status, await codeOf(answer)]).toEqual([400, "MANIFEST_INVALID"]);
  });

  test("a manifest that is nothing but brackets is malformed", async () => {
    await using registry = await startServer();
    const headers = { "content-type": manifestType };
    const answer = await registry.ask("PUT", "a/manifests/v1", { body: "[".repeat(2_000_000), headers });
    expect([answer.status, await codeOf(answer)]).toEqual([400, "MANIFEST_INVALID"]);
  });
});
