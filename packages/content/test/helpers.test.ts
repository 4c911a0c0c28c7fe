import { blobExists, copyBlob, openWriter, readBlob, writeBlob } from "@varve/content";
import type { BlobInfo, Manager } from "@varve/content";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { expect, test } from "vitest";
import { bytes, descriptor, digest, FakeProvider, FakeWriter, ingester, size } from "./fakes.ts";

async function* from(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield await Promise.resolve(bytes);
}

function inTwoChunks(offset: number): AsyncIterable<Uint8Array> {
  return from(bytes.subarray(offset, 7), bytes.subarray(7));
}

function manager(answer: () => Promise<BlobInfo>): Manager {
  return {
    info: answer,
    walk: () => {
      throw new Error("not used");
    },
    delete: async () => {},
  };
}

const held = new CodedError("ERR_UNAVAILABLE", "ingest r: held");
const exists = new CodedError("ERR_ALREADY_EXISTS", "content x: already exists");
const reason = new Error("enough");

test("a blob is read whole, and its reader closed", async () => {
  const provider = new FakeProvider();
  expect(await readBlob(provider, descriptor)).toEqual(bytes);
  expect(provider.closed).toBe(1);
});

test("a blob with other bytes than its digest says is refused", async () => {
  const provider = new FakeProvider(bytes.toReversed());
  await expect(readBlob(provider, descriptor)).rejects.toMatchObject({ code: "ERR_DIGEST_MISMATCH" });
  expect(provider.closed).toBe(1);
});

test("a blob of another size than its descriptor says is refused before it is read", async () => {
  const provider = new FakeProvider(bytes.subarray(1));
  await expect(readBlob(provider, descriptor)).rejects.toMatchObject({
    code: "ERR_DIGEST_MISMATCH",
    message: `content ${digest}: stored ${size - 1} bytes, expected ${size}`,
  });
});

test("a blob over the limit is not even opened", async () => {
  const provider = new FakeProvider();
  await expect(readBlob(provider, descriptor, { limit: size - 1 })).rejects.toMatchObject({
    code: "ERR_RESOURCE_EXHAUSTED",
  });
  await expect(readBlob(provider, { ...descriptor, size: 8 * 1024 * 1024 + 1 })).rejects.toMatchObject({
    code: "ERR_RESOURCE_EXHAUSTED",
  });
  expect(provider.opened).toBe(0);
});

// U-CS.7, C-CH.19
test("data within the descriptor is used instead of the store", async () => {
  const provider = new FakeProvider();
  const data = Buffer.from(bytes).toString("base64");
  expect(await readBlob(provider, { ...descriptor, data })).toEqual(bytes);
  expect(provider.opened).toBe(0);
});

// C-CH.22
test("data within the descriptor that is not what the digest says is passed over", async () => {
  const provider = new FakeProvider();
  const data = Buffer.from(bytes.toReversed()).toString("base64");
  expect(await readBlob(provider, { ...descriptor, data })).toEqual(bytes);
  expect(provider.opened).toBe(1);
});

// C-CH.21
test("a malformed digest is an error, not a missing blob", async () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a careless caller could do
  const bad = { ...descriptor, digest: "sha256:../x" as Digest };
  await expect(readBlob(new FakeProvider(), bad)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});

test("reading is rejected with the reason of the signal", async () => {
  const provider = new FakeProvider();
  await expect(readBlob(provider, descriptor, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(provider.opened).toBe(0);
});

// U-CS.12
test("whether a blob exists is told, and other errors are passed on", async () => {
  const info: BlobInfo = { digest, size, createdAt: new Date(), updatedAt: new Date(), labels: {} };
  const missing = new CodedError("ERR_NOT_FOUND", "content x: not found");
  expect(
    await blobExists(
      manager(() => Promise.resolve(info)),
      digest,
    ),
  ).toBe(true);
  expect(
    await blobExists(
      manager(() => Promise.reject(missing)),
      digest,
    ),
  ).toBe(false);
  await expect(
    blobExists(
      manager(() => Promise.reject(reason)),
      digest,
    ),
  ).rejects.toBe(reason);
});

// U-CS.8, S3.4
test("a locked ref is tried again after growing random delays", async () => {
  const writer = new FakeWriter();
  const store = ingester(held, held, held, writer);
  const delays: number[] = [];
  const onWait = (error: Error, delayMs: number): void => {
    expect(error).toBe(held);
    delays.push(delayMs);
  };
  expect(await openWriter(store, "r", { onWait })).toBe(writer);
  expect(store.calls).toBe(4);
  expect(delays).toHaveLength(3);
  for (const [index, delay] of delays.entries()) expect(delay).toBeLessThan(16 * 2 ** index);
});

// S3.6
test("other errors of a writer are passed on at once", async () => {
  const store = ingester(reason);
  await expect(openWriter(store, "r")).rejects.toBe(reason);
  expect(store.calls).toBe(1);
});

test("waiting for a ref ends with the reason of the signal", async () => {
  const controller = new AbortController();
  const onWait = (): void => controller.abort(reason);
  await expect(openWriter(ingester(held), "r", { signal: controller.signal, onWait })).rejects.toBe(reason);
});

// C-CH.1
test("a copy writes the source and commits what was expected", async () => {
  const writer = new FakeWriter();
  const totals: number[] = [];
  const onBytes = (total: number): number => totals.push(total);
  expect(await copyBlob(writer, inTwoChunks, { digest, size, labels: { a: "1" }, onBytes })).toBe(digest);
  expect(writer.committed).toEqual({ digest, size });
  expect(writer.labels).toEqual({ a: "1" });
  expect(totals).toEqual([0, 7, size]);
});

// U-CS.10, C-CH.2
test("a copy asks the source for what the writer lacks, and for nothing when it has all", async () => {
  const part = new FakeWriter(bytes.subarray(0, 5));
  const offsets: number[] = [];
  const source = (offset: number): AsyncIterable<Uint8Array> => {
    offsets.push(offset);
    return from(bytes.subarray(offset));
  };
  expect(await copyBlob(part, source, { digest, size })).toBe(digest);
  expect(await copyBlob(new FakeWriter(bytes), source, { digest, size })).toBe(digest);
  expect(offsets).toEqual([5]);
});

test("a copy starts over when the writer has more than the blob", async () => {
  const writer = new FakeWriter(new Uint8Array(size + 1));
  expect(await copyBlob(writer, (offset) => from(bytes.subarray(offset)), { digest, size })).toBe(digest);
  expect(writer.truncated).toBe(1);
});

test("a source that ends early is refused before the commit, and its bytes stay", async () => {
  const writer = new FakeWriter();
  await expect(copyBlob(writer, () => from(bytes.subarray(0, 5)), { digest, size })).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
    message: `content ${digest}: ended after 5 of ${size} bytes`,
  });
  expect(writer.committed).toBeUndefined();
  expect(writer.written).toHaveLength(5);
});

test("a source that does not end at the size is stopped there", async () => {
  const writer = new FakeWriter();
  await expect(copyBlob(writer, endless, { digest, size: size * 2 + 1 })).rejects.toMatchObject({
    code: "ERR_DIGEST_MISMATCH",
  });
  expect(writer.written).toHaveLength(size * 2);
});

// C-CH.4
test("a blob that exists at the commit of a copy is success", async () => {
  expect(await copyBlob(new FakeWriter(undefined, exists), () => from(bytes), { digest, size })).toBe(digest);
  expect(await copyBlob(new FakeWriter(undefined, exists), () => from(bytes))).toBe(digest);
});

test("a copy stops between chunks with the reason of its signal", async () => {
  const controller = new AbortController();
  const writer = new FakeWriter();
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(bytes.subarray(0, 5));
    controller.abort(reason);
    yield bytes.subarray(5);
  };
  await expect(copyBlob(writer, source, { digest, size, signal: controller.signal })).rejects.toBe(reason);
  expect(writer.written).toHaveLength(5);
  expect(writer.committed).toBeUndefined();
});

// U-CS.9
test("bytes in memory are stored, and the writer closed", async () => {
  const writer = new FakeWriter();
  expect(await writeBlob(ingester(held, writer), "r", bytes, { expected: { digest, size } })).toBe(digest);
  expect(writer.committed).toEqual({ digest, size });
  expect(writer.closed).toBeGreaterThan(0);
});

test("bytes in memory replace what an earlier writer has left", async () => {
  const writer = new FakeWriter(Uint8Array.of(1, 2, 3));
  expect(await writeBlob(ingester(writer), "r", bytes)).toBe(digest);
});

test("of a stream only what is missing is written", async () => {
  const writer = new FakeWriter(bytes.subarray(0, 5));
  const source = from(bytes.subarray(0, 3), bytes.subarray(3, 9), bytes.subarray(9));
  expect(await writeBlob(ingester(writer), "r", source)).toBe(digest);
  expect(writer.truncated).toBe(0);
});

test("a stream that is shorter than what is stored is refused", async () => {
  const writer = new FakeWriter(bytes);
  await expect(writeBlob(ingester(writer), "r", from(bytes.subarray(0, 3)))).rejects.toMatchObject({
    code: "ERR_INVALID_DATA",
  });
  expect(writer.closed).toBe(1);
});

test("a blob that exists when it is to be written is success, if it was named", async () => {
  expect(await writeBlob(ingester(exists), "r", bytes, { expected: { digest } })).toBe(digest);
  await expect(writeBlob(ingester(exists), "r", bytes)).rejects.toBe(exists);
  // S3.12
  const given: unknown[] = [];
  const label = async (...call: unknown[]): Promise<void> => void given.push(call.slice(0, 2));
  const labelling = Object.assign(ingester(exists), { label });
  await writeBlob(labelling, "r", bytes, { expected: { digest }, labels: { a: "b" } });
  expect(given).toEqual([[digest, { a: "b" }]]);
});

test("an empty blob can be stored", async () => {
  expect(await writeBlob(ingester(new FakeWriter()), "r", new Uint8Array())).toBe(
    parseDigest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
  );
});

// C-CH.3
test("a function is asked for what is missing", async () => {
  const offsets: number[] = [];
  const source = (offset: number): AsyncIterable<Uint8Array> => {
    offsets.push(offset);
    return from(bytes.subarray(offset));
  };
  expect(await writeBlob(ingester(new FakeWriter(bytes.subarray(0, 5))), "r", source)).toBe(digest);
  expect(offsets).toEqual([5]);
});

// C-CH.5, C-CH.7
test("an ingest that is taken away is begun again", async () => {
  const lost = new CodedError("ERR_ABORTED", "ingest r: taken over");
  const collected = new CodedError("ERR_UNAVAILABLE", "content x: was collected while it was committed");
  const writers = [new FakeWriter(undefined, lost), new FakeWriter(undefined, collected), new FakeWriter()] as const;
  expect(await writeBlob(ingester(...writers), "r", bytes, { expected: { digest, size } })).toBe(digest);
  expect(writers[2].committed).toEqual({ digest, size });
  expect(writers.map(({ closed }) => closed > 0)).toEqual([true, true, true]);
});

// C-CH.6
test("an ingest that is taken away again and again is given up", async () => {
  const lost = new CodedError("ERR_ABORTED", "ingest r: taken over");
  const store = ingester(new FakeWriter(undefined, lost));
  await expect(writeBlob(store, "r", () => from(bytes))).rejects.toBe(lost);
  expect(store.calls).toBe(3);
});

test("a stream cannot be begun again", async () => {
  const lost = new CodedError("ERR_ABORTED", "ingest r: taken over");
  const store = ingester(new FakeWriter(undefined, lost));
  await expect(writeBlob(store, "r", from(bytes))).rejects.toBe(lost);
  expect(store.calls).toBe(1);
});

test("when a writer fails half way its bytes stay, and the next goes on there", async () => {
  class FullWriter extends FakeWriter {
    override async write(chunk: Uint8Array): Promise<void> {
      if (this.written.length > 6) throw reason;
      await super.write(chunk);
    }

    override async close(): Promise<void> {
      await super.close();
      if (this.closed === 1) throw new Error("and closing fails too");
    }
  }
  const full = new FullWriter();
  await expect(writeBlob(ingester(full), "r", inTwoChunks)).rejects.toBe(reason);
  expect(full.committed).toBeUndefined();
  expect(full.truncated).toBe(0);
  expect(full.closed).toBeGreaterThan(0);
  const next = new FakeWriter(Uint8Array.from(full.written));
  const offsets: number[] = [];
  const source = (offset: number): AsyncIterable<Uint8Array> => {
    offsets.push(offset);
    return from(bytes.subarray(offset));
  };
  expect(await writeBlob(ingester(next), "r", source)).toBe(digest);
  expect(offsets).toEqual([7]);
});

test("a source that fails keeps what it gave", async () => {
  const writer = new FakeWriter();
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(bytes.subarray(0, 5));
    throw reason;
  };
  await expect(writeBlob(ingester(writer), "r", source)).rejects.toBe(reason);
  expect(writer.written).toHaveLength(5);
  expect(writer.committed).toBeUndefined();
  expect(writer.closed).toBeGreaterThan(0);
});
