import { Code, ConnectError } from "@connectrpc/connect";
import type { Writer } from "@varve/content";
import { digestOf } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { expect, test } from "vitest";
import { WriteAction } from "../src/gen/containerd/services/content/v1/content_pb.js";
import type { WriteContentRequest } from "../src/gen/containerd/services/content/v1/content_pb.js";
import { failureOf } from "./failure-of.ts";
import { FakeIngest, startContent } from "./fake-content.ts";
import type { Answer, FakeContent } from "./fake-content.ts";

const mebibyte = 1024 * 1024;

/** Every message is answered by `answer`, and the last one twice, as upstream's server does (P-CS.6). */
function startWrites(answer: (request: WriteContentRequest) => Answer | Promise<Answer>): Promise<FakeContent> {
  return startContent({
    async *write(requests) {
      let last: Answer | undefined;
      for await (const request of requests) {
        last = await answer(request);
        yield last;
        if (request.action === WriteAction.COMMIT) break;
      }
      if (last !== undefined) yield last;
    },
  });
}

test("an ingest begins with STAT, and every message names the ref and the current offset (P-CS.2, P-CS.5, P-CS.8)", async () => {
  const ingest = new FakeIngest();
  ingest.bytes = Buffer.from("left");
  await using fake = await startWrites((request) => ingest.answer(request));
  const digest = digestOf("left, and the rest");
  const writer = await fake.containerd.content.writer("a/b c", { expected: { digest, size: 18 } });
  expect(writer.status()).toMatchObject({ ref: "a/b c", offset: 4, total: 18, expected: digest });
  expect(await writer.digest()).toBe(digestOf("left"));
  await writer.write(Buffer.from(", and"));
  expect(await writer.digest()).toBe(digestOf("left, and"));
  await writer.write(Buffer.from(" the rest"));
  expect(await writer.commit({}, { labels: { a: "1" } })).toBe(digest);
  const messages = ingest.requests.map(({ action, ref, offset, data }) => [action, ref, offset, Buffer.from(data)]);
  expect(messages).toEqual([
    [WriteAction.STAT, "a/b c", 0n, Buffer.alloc(0)],
    [WriteAction.WRITE, "a/b c", 4n, Buffer.from(", and")],
    [WriteAction.WRITE, "a/b c", 9n, Buffer.from(" the rest")],
    [WriteAction.COMMIT, "a/b c", 18n, Buffer.alloc(0)],
  ]);
  expect(ingest.requests.at(0)).toMatchObject({ total: 18n, expected: digest });
  expect(ingest.requests.at(-1)).toMatchObject({ total: 18n, expected: digest, labels: { a: "1" } });
});

test("small chunks share a message while another one is on its way, and large ones are divided", async () => {
  const ingest = new FakeIngest();
  const { promise: first, resolve: answerFirst } = Promise.withResolvers<void>();
  await using fake = await startWrites(async (request) => {
    if (request.action === WriteAction.WRITE && ingest.requests.length === 1) await first;
    return ingest.answer(request);
  });
  const writer = await fake.containerd.content.writer("ref");
  const chunk = new Uint8Array(1000);
  for (let index = 0; index < 100; index += 1) {
    chunk.fill(index);
    await writer.write(chunk);
  }
  expect(writer.status().offset).toBe(100_000);
  answerFirst();
  await writer.digest();
  expect(ingest.asked.map(({ data }) => data.byteLength)).toEqual([1000, 99_000]);
  await writer.write(new Uint8Array(2.5 * mebibyte));
  await writer.digest();
  const sizes = ingest.asked.slice(2).map(({ data }) => data.byteLength);
  expect(sizes).toEqual([mebibyte, mebibyte, mebibyte / 2]);
  const expected = Buffer.concat([...Array(100).keys()].map((index) => Buffer.alloc(1000, index)));
  expect(ingest.bytes.subarray(0, 100_000).equals(expected)).toBe(true);
});

test("a writer that containerd does not keep up with waits, and stops waiting with the reason of its signal", async () => {
  const ingest = new FakeIngest();
  const { promise: go, resolve: answer } = Promise.withResolvers<void>();
  await using fake = await startWrites(async (request) => {
    if (request.action === WriteAction.WRITE) await go;
    return ingest.answer(request);
  });
  const writer = await fake.containerd.content.writer("ref");
  await writer.write(new Uint8Array(mebibyte));
  await writer.write(new Uint8Array(mebibyte));
  const reason = new Error("enough");
  const controller = new AbortController();
  const waiting = writer.write(new Uint8Array(1), { signal: controller.signal });
  setImmediate(() => controller.abort(reason));
  await expect(waiting).rejects.toBe(reason);
  expect(writer.status().offset).toBe(2 * mebibyte);
  answer();
  await writer.close();
  expect(ingest.bytes.byteLength).toBe(2 * mebibyte);
});

test("truncating is said at once, by a message at offset 0 without data (P-CS.5, P-CS.10)", async () => {
  const ingest = new FakeIngest();
  await using fake = await startWrites((request) => ingest.answer(request));
  const writer = await fake.containerd.content.writer("ref");
  await writer.truncate();
  expect(ingest.asked).toEqual([]);
  await writer.write(Buffer.from("wrong"));
  await writer.truncate();
  expect(writer.status().offset).toBe(0);
  expect(await writer.digest()).toBe(digestOf(""));
  expect(ingest.asked.at(-1)).toMatchObject({ action: WriteAction.WRITE, offset: 0n, data: new Uint8Array() });
  await writer.write(Buffer.from("right"));
  expect(await writer.commit()).toBe(digestOf("right"));
});

test("closing keeps the bytes that were written, and ends the call", async () => {
  const ingest = new FakeIngest();
  const { promise: ended, resolve: onEnd } = Promise.withResolvers<void>();
  await using fake = await startContent({
    async *write(requests) {
      for await (const request of requests) yield ingest.answer(request);
      onEnd();
    },
  });
  const writer = await fake.containerd.content.writer("ref");
  await writer.write(Buffer.from("kept"));
  await writer.close();
  await ended;
  expect(ingest.bytes.toString()).toBe("kept");
  await expect(writer.write(Buffer.from("x"))).rejects.toMatchObject({ code: "ERR_FAILED_PRECONDITION" });
});

test("a size of 0 is one that containerd does not look at, so it is looked at here", async () => {
  const ingest = new FakeIngest();
  await using fake = await startWrites((request) => ingest.answer(request));
  const writer = await fake.containerd.content.writer("ref");
  await writer.write(Buffer.from("something"));
  await expect(writer.commit({ size: 0 })).rejects.toMatchObject({
    code: "ERR_DIGEST_MISMATCH",
    message: "ingest ref: 9 bytes, expected 0",
  });
  expect(ingest.requests.map(({ action }) => action)).not.toContain(WriteAction.COMMIT);
});

test.each([
  [Code.FailedPrecondition, "unexpected commit digest", "ERR_DIGEST_MISMATCH"],
  [Code.AlreadyExists, "content sha256:0: already exists", "ERR_ALREADY_EXISTS"],
  [Code.InvalidArgument, "label too long", "ERR_INVALID_ARGUMENT"],
  [Code.NotFound, "ingest ref: not found", "ERR_NOT_FOUND"],
  [Code.Unknown, "write data: no space left on device", "ENOSPC"],
])("a commit that is answered with status %i (%s) fails with %s (6.5)", async (code, text, expected) => {
  const ingest = new FakeIngest();
  await using fake = await startWrites((request) => {
    if (request.action === WriteAction.COMMIT) throw new ConnectError(text, code);
    return ingest.answer(request);
  });
  const writer = await fake.containerd.content.writer("ref");
  await expect(writer.commit()).rejects.toMatchObject({ code: expected, message: expect.stringContaining(text) });
});

test("a ref that somebody else writes is unavailable (P-CS.3)", async () => {
  await using fake = await startWrites(() => {
    throw new ConnectError("ref default/1/ref locked for 1.2s", Code.Unavailable);
  });
  await expect(fake.containerd.content.writer("ref")).rejects.toMatchObject({
    code: "ERR_UNAVAILABLE",
    message: "containerd: ref default/1/ref locked for 1.2s",
  });
});

test("a write that failed is told to the next call, whichever that is", async () => {
  const calls: Readonly<Record<string, (writer: Writer) => Promise<unknown>>> = {
    write: writeOn,
    digest: (writer) => writer.digest(),
    truncate: (writer) => writer.truncate(),
    commit: (writer) => writer.commit(),
    close: (writer) => writer.close(),
  };
  for (const [name, call] of Object.entries(calls)) {
    const ingest = new FakeIngest();
    await using fake = await startWrites((request) => {
      if (request.action === WriteAction.WRITE) throw new ConnectError("write: no space left on device", Code.Unknown);
      return ingest.answer(request);
    });
    const writer = await fake.containerd.content.writer("ref");
    await writer.write(Buffer.from("x"));
    await expect(call(writer), name).rejects.toMatchObject({ code: "ENOSPC" });
    // Told once, it is no reason not to close.
    await writer.close();
  }
});

test("a containerd that is not where it says is not written to any further", async () => {
  const ingest = new FakeIngest();
  await using fake = await startWrites((request) => {
    const answer = ingest.answer(request);
    return request.action === WriteAction.WRITE ? { ...answer, offset: 3n } : answer;
  });
  const writer = await fake.containerd.content.writer("ref");
  await writer.write(Buffer.from("four"));
  await expect(writer.digest()).rejects.toMatchObject({
    code: "ERR_DATA_LOSS",
    message: "ingest ref: containerd is at 3 after 4 bytes at 0",
  });
});

test("closing the connection ends the write that is under way", async () => {
  const ingest = new FakeIngest();
  await using fake = await startWrites(async (request) => {
    if (request.action !== WriteAction.WRITE) return ingest.answer(request);
    return new Promise(() => {});
  });
  const writer = await fake.containerd.content.writer("ref");
  await writer.write(Buffer.from("x"));
  const digest = failureOf(writer.digest());
  await fake.containerd.close();
  expect(await digest).toMatchObject({ code: "ERR_ABORTED" });
  await writer.close();
});

test("a write that containerd ends by itself is a defect of it", async () => {
  await using fake = await startContent({
    async *write(requests) {
      for await (const _ of requests) return;
      yield {};
    },
  });
  await expect(fake.containerd.content.writer("ref")).rejects.toMatchObject({ code: "ERR_INTERNAL" });
});

test("an aborted signal ends the opening of a writer with its reason", async () => {
  const { promise: opened, resolve: onOpen } = Promise.withResolvers<void>();
  await using fake = await startWrites(async () => {
    onOpen();
    return new Promise(() => {});
  });
  const reason = new CodedError("ERR_DEADLINE_EXCEEDED", "enough");
  const controller = new AbortController();
  const opening = failureOf(fake.containerd.content.writer("ref", { signal: controller.signal }));
  await opened;
  controller.abort(reason);
  expect(await opening).toBe(reason);
});

/** The answer to the first write may be still on its way. */
async function writeOn(writer: Writer): Promise<void> {
  for (let index = 0; index < 1000; index += 1) {
    await writer.write(Buffer.from("y"));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
