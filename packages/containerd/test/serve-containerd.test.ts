import { once } from "node:events";
import { link, lstat, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { CodedError } from "@varve/errors";
import { serveContainerd } from "@varve/containerd";
import type { ContainerdServer } from "@varve/containerd";
import { afterEach, beforeEach, expect, test } from "vitest";
// What a client of the protocol sends.
import { Content } from "../src/gen/containerd/services/content/v1/content_pb.js";
import { Snapshots } from "../src/gen/containerd/services/snapshots/v1/snapshots_pb.js";
import { Health, HealthCheckResponse_ServingStatus } from "../src/gen/grpc/health/v1/health_pb.js";
import { failureOf } from "./failure-of.ts";
import { MemorySnapshotter } from "./memory-snapshotter.ts";
import { callerOf, servedSnapshotter } from "./served.ts";

const snapshotter = "it";
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-serve-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

function serve(address: string): Promise<ContainerdServer> {
  return serveContainerd({ address, snapshotters: { [snapshotter]: new MemorySnapshotter() } });
}

/** An address of so many bytes. */
function padded(size: number): string {
  return join(directory, "x".repeat(size - Buffer.byteLength(directory) - 1));
}

/** What is in the directory besides what a test expects. */
async function names(): Promise<string[]> {
  return (await readdir(directory)).toSorted();
}

test("the socket is for this user only, and gone after the end, with all that was made beside it", async () => {
  const address = join(directory, "socket");
  const server = await serve(address);
  const stat = await lstat(address);
  expect([stat.isSocket(), stat.mode & 0o777]).toEqual([true, 0o600]);
  expect(await names()).toEqual(["socket"]);
  expect(server.address).toBe(address);
  await server.close();
  await server.close();
  expect(await names()).toEqual([]);
});

test("an address that somebody listens on is refused, and they go on", async () => {
  const address = join(directory, "socket");
  await using first = await serve(address);
  const message = `socket ${address}: somebody listens on it already`;
  const before = process.getActiveResourcesInfo();
  await expect(serve(address)).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS", message });
  expect(await names()).toEqual(["socket"]);
  // A server that listens keeps a process from its end.
  expect(pipesOf(process.getActiveResourcesInfo())).toBe(pipesOf(before));
  const caller = callerOf(first.address);
  expect(await caller.client(Snapshots).prepare({ snapshotter, key: "a" })).toMatchObject({ mounts: [{}] });
  caller.cut();
});

test("of several that start at once on what a dead process left, one gets it", async () => {
  const address = join(directory, "socket");
  await leaveSocket(address);
  const starts = await Promise.allSettled(Array.from({ length: 8 }, () => serve(address)));
  const started = starts.filter((start) => start.status === "fulfilled").map(({ value }) => value);
  expect(started).toHaveLength(1);
  const codes = starts.flatMap((start) => (start.status === "rejected" ? [start.reason.code] : []));
  expect(new Set(codes)).toEqual(new Set(["ERR_ALREADY_EXISTS"]));
  expect(await names()).toEqual(["socket"]);
  const caller = callerOf(address);
  expect(await caller.client(Health).check({})).toMatchObject({ status: HealthCheckResponse_ServingStatus.SERVING });
  caller.cut();
  await started[0]?.close();
  expect(await names()).toEqual([]);
});

test.each(["file", "directory"])("a %s in its place is left alone", async (kind) => {
  const address = join(directory, "socket");
  if (kind === "file") await writeFile(address, "precious");
  else await mkdir(address);
  const message = `socket ${address}: something else is there`;
  await expect(serve(address)).rejects.toMatchObject({ code: "ERR_ALREADY_EXISTS", message });
  expect(await names()).toEqual(["socket"]);
});

test("a socket that another server has put there meanwhile is not removed at the end", async () => {
  const address = join(directory, "socket");
  const first = await serve(address);
  await rm(address);
  await using second = await serve(address);
  await first.close();
  expect(await names()).toEqual(["socket"]);
  const caller = callerOf(second.address);
  await caller.client(Health).check({});
  caller.cut();
});

test("107 bytes are short enough for an address, 108 are not", async () => {
  await using server = await serve(padded(107));
  const caller = callerOf(server.address);
  await caller.client(Health).check({});
  caller.cut();
  await expect(serve(padded(108))).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(serve("")).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("nothing to serve is refused, and a directory that is not there is an error of the system", async () => {
  const nothing = serveContainerd({ address: join(directory, "socket"), snapshotters: {} });
  await expect(nothing).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  await expect(serve(join(directory, "missing", "socket"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("health is told of the server and of each service that there is", async () => {
  await using it = await servedSnapshotter(new MemorySnapshotter());
  const health = it.caller.client(Health);
  for (const service of ["", Snapshots.typeName]) {
    expect(await health.check({ service })).toMatchObject({ status: HealthCheckResponse_ServingStatus.SERVING });
  }
  await expect(health.check({ service: Content.typeName })).rejects.toMatchObject({ code: Code.NotFound });
  const unserved = it.caller.client(Content).info({ digest: "sha256:0" });
  await expect(unserved).rejects.toMatchObject({ code: Code.Unimplemented });
});

test("a message of 16 MiB is taken, a larger one is refused, and the connection lives (6.1)", async () => {
  const backend = new MemorySnapshotter();
  await using it = await servedSnapshotter(backend);
  const { snapshots } = it;
  // With what the other fields and lengths take.
  const largest = (16 << 20) - 16;
  const removed = snapshots.remove({ snapshotter, key: "x".repeat(largest) });
  // A status that names the key has to fit into a header.
  const rawMessage = expect.stringMatching(/^snapshot x{4087}…$/);
  await expect(removed).rejects.toMatchObject({ code: Code.NotFound, rawMessage });
  for (let round = 0; round < 8; round += 1) {
    const tooLarge = snapshots.remove({ snapshotter, key: "y".repeat(largest + 17) });
    await expect(tooLarge).rejects.toMatchObject({ code: Code.ResourceExhausted });
  }
  await snapshots.prepare({ snapshotter, key: "small" });
  expect([...backend.entries.keys()]).toEqual(["small"]);
});

test("a status that has to be cut is never cut within a character", async () => {
  await using it = await servedSnapshotter(new MemorySnapshotter());
  const removed = it.snapshots.remove({ snapshotter, key: "😀".repeat(3000) });
  const rawMessage = expect.stringMatching(/^snapshot 😀{2043}\ufffd…$/u);
  await expect(removed).rejects.toMatchObject({ code: Code.NotFound, rawMessage });
});

test("a failure that the caller has not caused is told, with its method", async () => {
  const backend = new MemorySnapshotter();
  const full = Object.assign(new Error("write: no space left on device"), { code: "ENOSPC" });
  backend.before = async () => {
    throw full;
  };
  await using it = await servedSnapshotter(backend);
  const failed = it.snapshots.commit({ snapshotter, name: "a", key: "b" });
  await expect(failed).rejects.toMatchObject({ code: Code.Unknown, rawMessage: full.message });
  expect(it.failures).toEqual([{ method: "containerd.services.snapshots.v1.Snapshots/Commit", error: full }]);
});

test("what fails within a stream has its code, and is told", async () => {
  const backend = new MemorySnapshotter();
  backend.put({ kind: "committed", name: "a", labels: {} });
  const lost = new CodedError("ERR_DATA_LOSS", "snapshot a: is lost");
  backend.walk = async function* () {
    yield* [];
    throw lost;
  };
  await using it = await servedSnapshotter(backend);
  const listed = Array.fromAsync(it.snapshots.list({ snapshotter }));
  await expect(listed).rejects.toMatchObject({ code: Code.DataLoss, rawMessage: "snapshot a: is lost" });
  expect(it.failures).toEqual([{ method: "containerd.services.snapshots.v1.Snapshots/List", error: lost }]);
});

/** A snapshotter whose calls wait until they are aborted, and then end as calls do. */
class WaitingSnapshotter extends MemorySnapshotter {
  readonly entered = Promise.withResolvers<void>();
  readonly left = Promise.withResolvers<unknown>();
  /** What it has to do before it ends then. */
  whenAborted: () => Promise<unknown> = async () => undefined;

  override before = async (call: string, signal: AbortSignal | undefined): Promise<void> => {
    if (call !== "prepare") return;
    this.entered.resolve();
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    await aborted.catch(async (error: unknown) => {
      await this.whenAborted();
      this.left.resolve(error);
      throw error;
    });
  };
}

test("when a client goes away or gives up, what it asked for is aborted", async () => {
  for (const how of ["cut", "cancel", "deadline"] as const) {
    const backend = new WaitingSnapshotter();
    await using it = await servedSnapshotter(backend);
    const giveUp = new AbortController();
    const options = { signal: giveUp.signal, ...(how === "deadline" ? { timeoutMs: 50 } : {}) };
    const failure = failureOf(it.snapshots.prepare({ snapshotter, key: "a" }, options));
    await backend.entered.promise;
    if (how === "cut") it.caller.cut();
    if (how === "cancel") giveUp.abort();
    await backend.left.promise;
    expect(await failure).toMatchObject({ name: "ConnectError" });
    expect(backend.entries.size).toBe(0);
    expect(it.failures).toEqual([]);
  }
});

test("closing waits for what is soon done, and gives its answer", async () => {
  const backend = new MemorySnapshotter();
  await using it = await servedSnapshotter(backend);
  const [entered, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  backend.before = async (_call, signal) => {
    entered.resolve();
    await go.promise;
    signal?.throwIfAborted();
  };
  const prepared = it.snapshots.prepare({ snapshotter, key: "a" });
  await entered.promise;
  const closed = it.server.close();
  await expect(callerOf(it.server.address).client(Health).check({})).rejects.toMatchObject({ code: Code.Unavailable });
  // It might give up much earlier than it says.
  await sleep(100);
  go.resolve();
  expect(await prepared).toMatchObject({ mounts: [{}] });
  await closed;
});

test("closing aborts what takes long, which may be tried again", async () => {
  const backend = new WaitingSnapshotter();
  await using it = await servedSnapshotter(backend);
  const failure = failureOf(it.snapshots.prepare({ snapshotter, key: "a" }));
  await backend.entered.promise;
  await it.server.close();
  expect(await failure).toMatchObject({ code: Code.Unavailable });
  expect(it.failures).toEqual([]);
});

test("when closing is done nothing runs any more, however long it takes to give up", async () => {
  const backend = new WaitingSnapshotter();
  await using it = await servedSnapshotter(backend);
  // Longer than its answer is waited for.
  backend.whenAborted = () => sleep(500);
  let running = true;
  void backend.left.promise.then(() => (running = false));
  const failure = failureOf(it.snapshots.prepare({ snapshotter, key: "a" }));
  await backend.entered.promise;
  await it.server.close();
  expect(running).toBe(false);
  expect(await failure).toMatchObject({ name: "ConnectError" });
});

test("closing ends a stream that its client does not read", async () => {
  const backend = new MemorySnapshotter();
  let walking = false;
  backend.walk = async function* () {
    walking = true;
    try {
      const labels = { x: "x".repeat(1 << 20) };
      for (;;) yield { kind: "active", name: "a", labels, createdAt: new Date(), updatedAt: new Date() };
    } finally {
      walking = false;
    }
  };
  await using it = await servedSnapshotter(backend);
  const messages = it.snapshots.list({ snapshotter })[Symbol.asyncIterator]();
  await messages.next();
  expect(walking).toBe(true);
  await it.server.close();
  expect(walking).toBe(false);
  await messages.return?.();
});

test("many streams that nobody reads at the moment leave room for other calls", async () => {
  const backend = new MemorySnapshotter();
  for (const name of ["a", "b", "c"]) backend.put({ kind: "active", name, labels: { x: "x".repeat(1 << 20) } });
  await using it = await servedSnapshotter(backend);
  const streams = Array.from({ length: 24 }, () => it.snapshots.list({ snapshotter })[Symbol.asyncIterator]());
  for (const stream of streams) await stream.next();
  expect(await it.snapshots.stat({ snapshotter, key: "a" })).toMatchObject({ info: { name: "a" } });
  for (const stream of streams) expect(await stream.next()).toMatchObject({ done: false });
});

test("a client that goes away in the middle of a stream ends the walk", async () => {
  const backend = new MemorySnapshotter();
  const ended = Promise.withResolvers<void>();
  backend.walk = async function* () {
    try {
      const labels = { x: "x".repeat(1 << 20) };
      for (;;) yield { kind: "active", name: "a", labels, createdAt: new Date(), updatedAt: new Date() };
    } finally {
      ended.resolve();
    }
  };
  await using it = await servedSnapshotter(backend);
  const messages = it.snapshots.list({ snapshotter })[Symbol.asyncIterator]();
  await messages.next();
  it.caller.cut();
  await ended.promise;
  await messages.next().catch(() => undefined);
  expect(it.failures).toEqual([]);
});

test("what is not gRPC, or has an odd authority, does no harm", async () => {
  await using it = await servedSnapshotter(new MemorySnapshotter());
  const raw = connect(it.server.address);
  raw.on("error", () => undefined);
  raw.end("GET / HTTP/1.1\r\n\r\n");
  raw.resume();
  await once(raw, "close");
  const session = connectHttp2("http://localhost", { createConnection: () => connect(it.server.address) });
  const status = (headers: Record<string, string>): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":method": "POST", ...headers });
      stream.once("response", (answer) => resolve(answer[":status"]));
      stream.once("error", reject);
      stream.end();
      stream.resume();
    });
  const method = `/${Snapshots.typeName}/Stat`;
  const grpc = { ":path": method, "content-type": "application/grpc+proto" };
  expect(await status({ ...grpc, ":authority": "%2Frun%2Fx.sock" })).toBe(200);
  expect(await status({ ...grpc, ":authority": "[" })).toBe(200);
  expect(await status({ ":path": method })).toBe(415);
  expect(await status({ ":path": "/none/Such" })).toBe(404);
  session.destroy();
  await it.snapshots.prepare({ snapshotter, key: "a" });
});

/** As a process that was killed leaves it. */
async function leaveSocket(address: string): Promise<void> {
  const server = createServer();
  const bound = join(directory, "bound");
  server.listen(bound);
  await once(server, "listening");
  await link(bound, address);
  server.close();
  await once(server, "close");
}

function pipesOf(resources: readonly string[]): number {
  return resources.filter((name) => name === "PipeWrap").length;
}
