import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { BlobReader } from "@varve/content";
import { digestOf } from "@varve/digest";
import { expect, test } from "vitest";
import { InfoSchema, WriteAction } from "../src/gen/containerd/services/content/v1/content_pb.js";
import type { ReadContentRequest, UpdateRequest } from "../src/gen/containerd/services/content/v1/content_pb.js";
import { aborted } from "./aborted.ts";
import { FakeIngest, startContent } from "./fake-content.ts";
import type { FakeContent } from "./fake-content.ts";

const blob = Buffer.from("0123456789");
const digest = digestOf(blob);
const descriptor = { mediaType: "text/plain", digest, size: blob.byteLength };

interface Reads extends FakeContent {
  readonly reader: BlobReader;
  readonly requests: ReadContentRequest[];
}

/** One blob, which is read as `chunks` says. */
async function startReads(chunks: (request: ReadContentRequest) => AsyncIterable<Uint8Array>): Promise<Reads> {
  const requests: ReadContentRequest[] = [];
  const fake = await startContent({
    info: () => ({ info: { digest, size: BigInt(blob.byteLength) } }),
    async *read(request) {
      requests.push(request);
      for await (const data of chunks(request)) yield { data };
    },
  });
  return { ...fake, reader: await fake.containerd.content.open(descriptor), requests };
}

async function* part({ offset, size }: ReadContentRequest): AsyncGenerator<Uint8Array> {
  const wanted = blob.subarray(Number(offset), Number(offset + size));
  for (let start = 0; start < wanted.byteLength; start += 3) yield wanted.subarray(start, start + 3);
}

test("only what is wanted of a blob is asked for", async () => {
  await using fake = await startReads(part);
  const target = Buffer.alloc(4);
  expect(await fake.reader.read(target, 5)).toBe(4);
  expect(target.toString()).toBe("5678");
  expect(await fake.reader.read(target, 8)).toBe(2);
  expect(target.toString("utf8", 0, 2)).toBe("89");
  expect(await fake.reader.read(target, 10)).toBe(0);
  expect(await fake.reader.read(new Uint8Array(), 1)).toBe(0);
  expect(fake.requests.map(({ offset, size }) => [offset, size])).toEqual([
    [5n, 4n],
    [8n, 2n],
  ]);
});

test.each([
  ["too few", "01234"],
  ["too many", "0123456789+"],
])("%s bytes are a damaged blob", async (_, text) => {
  await using fake = await startReads(async function* () {
    yield Buffer.from(text);
  });
  const read = async (): Promise<void> => {
    for await (const chunk of fake.reader.stream()) expect(chunk.byteLength).toBeLessThanOrEqual(blob.byteLength);
  };
  await expect(read()).rejects.toMatchObject({ code: "ERR_DATA_LOSS" });
});

test("a stream that is left ends the call", async () => {
  const { promise: called, resolve: onCall } = Promise.withResolvers<AbortSignal>();
  await using fake = await startContent({
    info: () => ({ info: { digest, size: BigInt(blob.byteLength) } }),
    async *read(_, { signal }) {
      onCall(signal);
      yield { data: blob.subarray(0, 5) };
      await aborted(signal);
    },
  });
  const reader = await fake.containerd.content.open(descriptor);
  for await (const chunk of reader.stream()) {
    expect(chunk.byteLength).toBe(5);
    break;
  }
  await aborted(await called);
});

test("a label without a value goes, and no change at all is not sent (6.3 Update)", async () => {
  const updates: UpdateRequest[] = [];
  const info = create(InfoSchema, { digest, size: 10n, labels: { a: "1" } });
  await using fake = await startContent({
    info: () => ({ info }),
    update: (request) => {
      updates.push(request);
      return { info };
    },
  });
  const { content } = fake.containerd;
  expect(await content.label(digest, {})).toMatchObject({ digest, size: 10, labels: { a: "1" } });
  expect(updates).toEqual([]);
  await content.label(digest, { "a.b/c": "1", gone: undefined });
  await content.label(digest, { b: "2" }, { replace: true });
  await content.label(digest, {}, { replace: true });
  expect(updates.map(({ info: sent, updateMask }) => [updateMask?.paths, { ...sent?.labels }])).toEqual([
    [["labels.a.b/c", "labels.gone"], { "a.b/c": "1" }],
    [["labels"], { b: "2" }],
    [["labels"], {}],
  ]);
});

test.each([{ "": "x" }, { long: "x".repeat(4093) }])(
  "a label that cannot be kept is not sent (U-MD.2)",
  async (labels) => {
    await using fake = await startContent({});
    await expect(fake.containerd.content.label(digest, labels)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  },
);

test("a list that breaks off gives nothing, rather than a part", async () => {
  await using fake = await startContent({
    async *list() {
      yield { info: [{ digest, size: 1n }] };
      throw new ConnectError("the database is gone", Code.Unavailable);
    },
  });
  const walk = fake.containerd.content.walk()[Symbol.asyncIterator]();
  await expect(walk.next()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
});

test("an ingest that is written here is aborted under its writer, and is shown with what the writer was told", async () => {
  const ingest = new FakeIngest();
  const calls: string[] = [];
  await using fake = await startContent({
    async *write(requests) {
      for await (const request of requests) {
        // It takes its time over bytes, so that they are still on their way when the ingest is looked at.
        if (request.action === WriteAction.WRITE) await sleep(100);
        yield ingest.answer(request);
      }
      calls.push("write ended");
    },
    status: ({ ref }) => ({ status: { ref, offset: BigInt(ingest.bytes.byteLength) } }),
    abort: ({ ref }) => {
      calls.push(`abort ${ref}`);
      return {};
    },
  });
  const { content } = fake.containerd;
  const writer = await content.writer("ref", { expected: { digest } });
  await writer.write(blob.subarray(0, 5));
  expect(await content.status("ref")).toMatchObject({ ref: "ref", offset: 5, expected: digest });
  await content.abort("ref");
  expect(calls).toEqual(["write ended", "abort ref"]);
  await expect(writer.write(blob.subarray(5))).rejects.toMatchObject({ code: "ERR_ABORTED" });
  await expect(writer.commit()).rejects.toMatchObject({ code: "ERR_ABORTED" });
  expect(ingest.asked.map(({ action }) => action)).toEqual([WriteAction.WRITE]);
});

test("closing the store closes its writers, and leaves the others", async () => {
  const ingest = new FakeIngest();
  await using fake = await startContent({
    async *write(requests) {
      for await (const request of requests) yield ingest.answer(request);
    },
    info: () => ({ info: { digest, size: 10n } }),
  });
  const leased = fake.containerd.withLease("mine");
  const writer = await leased.content.writer("ref");
  await writer.write(blob);
  await leased.close();
  expect(ingest.bytes.equals(blob)).toBe(true);
  const closed = { code: "ERR_FAILED_PRECONDITION" };
  await expect(writer.write(blob)).rejects.toMatchObject(closed);
  await expect(leased.content.info(digest)).rejects.toMatchObject(closed);
  expect(await fake.containerd.content.info(digest)).toMatchObject({ size: 10 });
});
