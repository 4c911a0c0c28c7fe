import { setImmediate as nextTurn } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ContentStore, Writer } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { WriteAction, WriteContentRequestSchema } from "../src/gen/containerd/services/content/v1/content_pb.js";
import { Dialogue } from "./serve-content-dialogue.ts";
import { startContentPeer } from "./serve-content-peer.ts";

type Request = MessageInitShape<typeof WriteContentRequestSchema>;

const { STAT, WRITE, COMMIT } = WriteAction;
const text = (bytes: string): Uint8Array => new TextEncoder().encode(bytes);
const whole = text("one and two");
const digest = digestOf(whole);
const nothing = digestOf("");

async function store(content: ContentStore, bytes: Uint8Array): Promise<void> {
  const writer = await content.writer(`store ${digestOf(bytes)}`);
  await writer.write(bytes);
  await writer.commit();
}

test("P-CS.4, P-CS.6, P-CS.11: each request gets one answer with the state, and that of a commit is the last", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const dialogue = new Dialogue(peer.client);
  const opened = await dialogue.ask({ action: STAT, ref: "default/1/a layer", total: 11n, expected: digest });
  expect(opened).toMatchObject({ action: STAT, offset: 0n, total: 11n, digest: nothing });
  const { startedAt } = await content.status("default/1/a layer");
  expect(opened.startedAt?.seconds).toBe(BigInt(Math.floor(startedAt.getTime() / 1000)));
  expect(opened.updatedAt).toBeDefined();
  expect(await dialogue.ask({ action: WRITE, offset: 0n, data: text("one ") })).toMatchObject({
    action: WRITE,
    offset: 4n,
    digest: digestOf("one "),
  });
  expect(await dialogue.ask({ action: STAT })).toMatchObject({ action: STAT, offset: 4n, total: 11n });
  // P-CS.6: a commit may bring data. P-CS.1: its ref does not count.
  const labels = { "containerd.io/distribution.source.local": "a" };
  const last = { action: COMMIT, ref: "another", offset: 4n, data: text("and two"), labels };
  expect(await dialogue.ask(last)).toMatchObject({ action: COMMIT, offset: 11n, digest });
  expect(await dialogue.rest()).toEqual([]);
  expect(await content.info(digest)).toMatchObject({ size: 11, labels });
  expect(await Array.fromAsync(content.statuses())).toEqual([]);
  expect(peer.faults).toEqual([]);
});

test("P-CS.1: a stream whose first message names no ref, or that has no message, is refused", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  await expect(new Dialogue(peer.client).ask({ action: STAT, total: 3n })).rejects.toMatchObject({
    code: Code.InvalidArgument,
    rawMessage: "ingest: the first message names no ref",
  });
  await expect(new Dialogue(peer.client).end()).rejects.toMatchObject({ code: Code.InvalidArgument });
});

test("P-CS.1: what a later message says of size and digest counts, and what it does not say stays", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const wrong = new Dialogue(peer.client);
  await wrong.ask({ action: STAT, ref: "a", total: 5n });
  await wrong.ask({ action: WRITE, data: whole });
  await expect(wrong.ask({ action: COMMIT, offset: 11n })).rejects.toMatchObject({ code: Code.FailedPrecondition });
  const right = new Dialogue(peer.client);
  await right.ask({ action: STAT, ref: "b", total: 5n, expected: digestOf("other") });
  await right.ask({ action: WRITE, data: whole, total: 11n });
  expect(await right.ask({ action: COMMIT, offset: 11n, expected: digest })).toMatchObject({ digest });
});

test("P-CS.1: a digest of another algorithm can be asked for at the commit", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const dialogue = new Dialogue(peer.client);
  await dialogue.ask({ action: WRITE, ref: "a", data: whole });
  const expected = digestOf(whole, "sha512");
  expect(await dialogue.ask({ action: COMMIT, offset: 11n, expected })).toMatchObject({ digest: expected });
  expect(await content.info(expected)).toMatchObject({ size: 11 });
});

test.each([
  ["the first message", { action: STAT, ref: "a", expected: digest }, undefined],
  ["a later STAT", { action: STAT, expected: digest }, { action: STAT, ref: "a" }],
  ["a WRITE", { action: WRITE, data: whole, expected: digest }, { action: STAT, ref: "a" }],
  ["the COMMIT", { action: COMMIT, offset: 3n, expected: digest }, { action: WRITE, ref: "a", data: text("one") }],
])(
  "P-CS.2: if the blob that %s expects is stored, AlreadyExists says so and the ingest goes",
  async (_, request, first) => {
    const content = createMemoryContentStore();
    await store(content, whole);
    const writer = await content.writer("a");
    await writer.write(text("on"));
    await writer.close();
    await using peer = await startContentPeer(content);
    const dialogue = new Dialogue(peer.client);
    if (first !== undefined) await dialogue.ask(first);
    await expect(dialogue.ask(request)).rejects.toMatchObject({
      code: Code.AlreadyExists,
      rawMessage: `content ${digest}: already exists`,
    });
    await peer.idle();
    await expect(content.status("a")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
    await (await content.writer("a")).close();
  },
);

test("P-CS.2: a commit that nobody announced finds that the blob is stored", async () => {
  const content = createMemoryContentStore();
  await store(content, whole);
  await using peer = await startContentPeer(content);
  const dialogue = new Dialogue(peer.client);
  await dialogue.ask({ action: STAT, ref: "a" });
  await expect(dialogue.ask({ action: COMMIT, data: whole })).rejects.toMatchObject({ code: Code.AlreadyExists });
  await peer.idle();
  await expect(content.status("a")).rejects.toMatchObject({ code: "ERR_NOT_FOUND" });
});

test("P-CS.2: what somebody writes at the moment stays when another stream asks for a blob that is stored", async () => {
  const content = createMemoryContentStore();
  await store(content, whole);
  await using peer = await startContentPeer(content);
  const busy = new Dialogue(peer.client);
  await busy.ask({ action: WRITE, ref: "a", data: text("on") });
  await expect(new Dialogue(peer.client).ask({ action: STAT, ref: "a", expected: digest })).rejects.toMatchObject({
    code: Code.AlreadyExists,
  });
  expect(await busy.ask({ action: WRITE, offset: 2n, data: text("e") })).toMatchObject({ offset: 3n });
});

test("P-CS.3: a ref that is being written is Unavailable to others, and free when its stream ends", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const first = new Dialogue(peer.client);
  await first.ask({ action: WRITE, ref: "a", data: text("one ") });
  await expect(new Dialogue(peer.client).ask({ action: STAT, ref: "a" })).rejects.toMatchObject({
    code: Code.Unavailable,
  });
  expect(await first.end()).toEqual([]);
  await peer.idle();
  expect(await new Dialogue(peer.client).ask({ action: STAT, ref: "a" })).toMatchObject({
    offset: 4n,
    digest: digestOf("one "),
  });
});

test("P-CS.5: bytes for another offset than the current one are OutOfRange, and what is there stays", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  for (const offset of [2n, 4n, -1n, 2n ** 62n]) {
    const dialogue = new Dialogue(peer.client);
    const { offset: current } = await dialogue.ask({ action: STAT, ref: "a" });
    if (current === 0n) await dialogue.ask({ action: WRITE, data: text("one") });
    await expect(dialogue.ask({ action: WRITE, offset, data: text("x") })).rejects.toMatchObject({
      code: Code.OutOfRange,
      rawMessage: `ingest a: bytes for offset ${offset}, the current one is 3`,
    });
    await peer.idle();
    expect(await content.status("a")).toMatchObject({ offset: 3 });
  }
  const dialogue = new Dialogue(peer.client);
  await dialogue.ask({ action: STAT, ref: "a" });
  await expect(dialogue.ask({ action: COMMIT, offset: 5n })).rejects.toMatchObject({ code: Code.OutOfRange });
});

test("P-CS.5: offset 0 begins anew, with a WRITE and with a COMMIT, and also without data", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const dialogue = new Dialogue(peer.client);
  await dialogue.ask({ action: WRITE, ref: "a", data: text("wrong") });
  expect(await dialogue.ask({ action: WRITE, data: text("one") })).toMatchObject({
    offset: 3n,
    digest: digestOf("one"),
  });
  expect(await dialogue.ask({ action: WRITE })).toMatchObject({ offset: 0n, digest: nothing });
  await dialogue.ask({ action: WRITE, data: text("wrong again") });
  expect(await dialogue.ask({ action: COMMIT, data: whole })).toMatchObject({ offset: 11n, digest });
  const empty = new Dialogue(peer.client);
  await empty.ask({ action: WRITE, ref: "b", data: text("wrong") });
  expect(await empty.ask({ action: COMMIT })).toMatchObject({ offset: 0n, digest: nothing });
});

test("P-CS.6, C-CS.12: with a wrong size or digest a commit fails, and the bytes stay for a right one", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const first = new Dialogue(peer.client);
  await first.ask({ action: WRITE, ref: "a", data: whole });
  await expect(first.ask({ action: COMMIT, offset: 11n, total: 12n })).rejects.toMatchObject({
    code: Code.FailedPrecondition,
  });
  await peer.idle();
  const second = new Dialogue(peer.client);
  expect(await second.ask({ action: STAT, ref: "a" })).toMatchObject({ offset: 11n });
  await expect(second.ask({ action: COMMIT, offset: 11n, expected: digestOf("no") })).rejects.toMatchObject({
    code: Code.FailedPrecondition,
  });
  await peer.idle();
  const third = new Dialogue(peer.client);
  await third.ask({ action: STAT, ref: "a" });
  expect(await third.ask({ action: COMMIT, offset: 11n, total: 11n, expected: digest })).toMatchObject({ digest });
  expect(peer.faults).toEqual([]);
});

test("P-CS.6: a commit with a label that is too long is InvalidArgument, and the bytes stay", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const dialogue = new Dialogue(peer.client);
  const labels = { a: "x".repeat(4096) };
  await expect(dialogue.ask({ action: COMMIT, ref: "a", data: whole, labels })).rejects.toMatchObject({
    code: Code.InvalidArgument,
  });
  await peer.idle();
  expect(await content.status("a")).toMatchObject({ offset: 11 });
});

test("P-CS.7: the bytes of a client that is gone stay, and its ref is free", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const dialogue = new Dialogue(peer.client);
  await dialogue.ask({ action: WRITE, ref: "a", data: text("one ") });
  peer.cut();
  await expect(dialogue.rest()).rejects.toBeInstanceOf(ConnectError);
  await peer.idle();
  expect(await content.status("a")).toMatchObject({ offset: 4 });
  const writer = await content.writer("a");
  expect(writer.status().offset).toBe(4);
  await writer.close();
  expect(peer.faults).toEqual([]);
});

test("P-CS.7: the same when one stream alone is cancelled, while the store is still writing", async () => {
  const memory = createMemoryContentStore();
  const reached = Promise.withResolvers<void>();
  const going = Promise.withResolvers<void>();
  const content = withWrite(memory, async (write) => {
    reached.resolve();
    await going.promise;
    await write();
  });
  await using peer = await startContentPeer(content);
  const abort = new AbortController();
  const dialogue = new Dialogue(peer.client, abort.signal);
  const answer = dialogue.ask({ action: WRITE, ref: "a", data: text("one ") });
  await reached.promise;
  abort.abort();
  await expect(answer).rejects.toMatchObject({ code: Code.Canceled });
  going.resolve();
  await peer.idle();
  const writer = await memory.writer("a");
  expect(writer.status().offset).toBe(4);
  await writer.close();
  expect(peer.faults).toEqual([]);
});

test("P-CS.8: one message may bring 16 MiB", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const data = new Uint8Array(16 * 1024 * 1024).fill(7);
  const dialogue = new Dialogue(peer.client);
  expect(await dialogue.ask({ action: COMMIT, ref: "a", data })).toMatchObject({
    offset: BigInt(data.byteLength),
    digest: digestOf(data),
  });
});

test("no more than one message is taken at a time: a client that does not wait for answers is held back", async () => {
  let sent = 0;
  let written = 0;
  let ahead = 0;
  const memory = createMemoryContentStore();
  const content = withWrite(memory, async (write) => {
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    ahead = Math.max(ahead, sent - written);
    written += 1;
    await write();
  });
  await using peer = await startContentPeer(content);
  const requests = async function* (): AsyncGenerator<Request> {
    for (; sent < 32; sent += 1) {
      await nextTurn();
      yield { action: WRITE, ref: "a", offset: BigInt(sent << 20), data: new Uint8Array(1 << 20) };
    }
  };
  expect(await Array.fromAsync(peer.client.write(requests()))).toHaveLength(32);
  // The buffers of both ends of the connection take some.
  expect(ahead).toBeLessThan(8);
  expect(await memory.status("a")).toMatchObject({ offset: 32 << 20 });
});

test("an ingest that was aborted by another call ends its stream", async () => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  const dialogue = new Dialogue(peer.client);
  await dialogue.ask({ action: WRITE, ref: "a", data: text("one") });
  await peer.client.abort({ ref: "a" });
  await expect(dialogue.ask({ action: WRITE, offset: 3n, data: text("x") })).rejects.toMatchObject({
    code: Code.Aborted,
  });
});

const impossible: readonly (readonly [what: string, request: Request, code: Code])[] = [
  ["digest", { action: STAT, ref: "a", expected: "sha256:12" }, Code.InvalidArgument],
  ["algorithm", { action: STAT, ref: "a", expected: "md5:d41d8cd98f00b204e9800998ecf8427e" }, Code.InvalidArgument],
  ["size", { action: STAT, ref: "a", total: 2n ** 60n }, Code.OutOfRange],
  // Number 7, with the ref `a`.
  ["action", fromBinary(WriteContentRequestSchema, Buffer.from("0807120161", "hex")), Code.InvalidArgument],
];
test.each(impossible)("an impossible %s is refused, and nothing is left in use", async (_, request, code) => {
  const content = createMemoryContentStore();
  await using peer = await startContentPeer(content);
  await expect(new Dialogue(peer.client).ask(request)).rejects.toMatchObject({ code });
  await peer.idle();
  await (await content.writer("a")).close();
  const later = new Dialogue(peer.client);
  await later.ask({ action: STAT, ref: "a" });
  await expect(later.ask({ ...request, ref: "" })).rejects.toMatchObject({ code });
});

/** Writes are put into the hands of `around`. */
function withWrite(memory: ContentStore, around: (write: () => Promise<void>) => Promise<void>): ContentStore {
  const writer = async (ref: string): Promise<Writer> => {
    const opened = await memory.writer(ref);
    const write = opened.write.bind(opened);
    opened.write = (chunk) => around(() => write(chunk));
    return opened;
  };
  return new Proxy(memory, {
    get: (_, name) => {
      if (name === "writer") return writer;
      const value: unknown = Reflect.get(memory, name);
      return typeof value === "function" ? value.bind(memory) : value;
    },
  });
}
