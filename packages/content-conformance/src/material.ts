import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { canFollow, canLabel, canQuarantine } from "@varve/content";
import type { BlobReader, ContentStore, Follower, Labeler, Manager, Provider, Quarantiner } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import type { Descriptor } from "@varve/oci";

/** A blob to write: bytes that look random, and are the same for the same size and seed. */
export interface Sample {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly size: number;
  readonly descriptor: Descriptor;
}

export function sample(size: number, seed: number = 1): Sample {
  const bytes = new Uint8Array(size);
  let state = (seed * 2_654_435_761 + size) >>> 0;
  for (let index = 0; index < size; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return sampleOf(bytes);
}

/** As `sample`, for sizes where making so many different bytes would take long: a part of odd length over and over. */
export function largeSample(size: number, seed: number = 1): Sample {
  return sampleOf(new Uint8Array(Buffer.alloc(size, sample(65_537, seed).bytes)));
}

export function sampleOf(bytes: Uint8Array, digest: Digest = digestOf(bytes)): Sample {
  const size = bytes.byteLength;
  return { bytes, digest, size, descriptor: { mediaType: "application/octet-stream", digest, size } };
}

/** Writes and commits. */
export async function store(into: ContentStore, blob: Sample, ref: string = `store-${blob.digest}`): Promise<void> {
  const writer = await into.writer(ref, { expected: blob });
  await writer.write(blob.bytes);
  await writer.commit(blob);
}

/** Begins an ingest with some bytes, and closes the writer. */
export async function leave(into: ContentStore, ref: string, bytes: Uint8Array): Promise<void> {
  const writer = await into.writer(ref);
  await writer.write(bytes);
  await writer.close();
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** For what runs beside the case: if the case fails before it looks, the rejection is no second failure. */
export function started<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}

/** `work` is still waiting after a while in which it could have ended. */
export async function assertWaits(work: Promise<unknown>, what: string): Promise<void> {
  const outcome = await Promise.race([
    work.then(
      () => "ended",
      () => "failed",
    ),
    sleep(100, "waits"),
  ]);
  assert.equal(outcome, "waits", what);
}

export async function list<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function withReader<T>(from: Provider, blob: Sample, use: (reader: BlobReader) => Promise<T>): Promise<T> {
  const reader = await from.open(blob.descriptor);
  try {
    return await use(reader);
  } finally {
    await reader.close();
  }
}

/** The blob is in the store, whole. */
export async function assertStored(from: Provider & Manager, blob: Sample): Promise<void> {
  const info = await from.info(blob.digest);
  assert.equal(info.digest, blob.digest);
  assert.equal(info.size, blob.size);
  const bytes = await withReader(from, blob, async (reader) => {
    assert.equal(reader.size, blob.size, "the reader's size");
    return collect(reader.stream());
  });
  assertBytes(bytes, blob.bytes);
}

/** The blob is not in the store, whichever way one looks. */
export async function assertMissing(from: Provider & Manager, blob: Sample): Promise<void> {
  await rejects(from.info(blob.digest), "ERR_NOT_FOUND");
  await rejects(from.open(blob.descriptor), "ERR_NOT_FOUND");
  const digests = (await list(from.walk())).map(({ digest }) => digest);
  assert.ok(!digests.includes(blob.digest), `walk shows ${blob.digest}`);
}

/** Without a diff of megabytes in the message. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array, what: string = "the bytes"): void {
  assert.equal(actual.byteLength, expected.byteLength, `${what}: length`);
  assert.equal(Buffer.compare(actual, expected), 0, `${what} differ`);
}

/** Rejects with `code`; what it gave instead of an error is closed. */
export async function rejects(attempt: Promise<unknown>, code: ErrorCode): Promise<Error> {
  let value: unknown;
  try {
    value = await attempt;
  } catch (error) {
    assert.ok(hasCode(error, code), `rejected with ${String(error)} instead of ${code}`);
    return error;
  }
  if (isClosable(value)) await value.close();
  return assert.fail(`succeeded instead of failing with ${code}`);
}

function isClosable(value: unknown): value is { close(): Promise<void> } {
  return typeof value === "object" && value !== null && "close" in value && typeof value.close === "function";
}

export async function rejectsWith(attempt: Promise<unknown>, reason: unknown, what: string): Promise<void> {
  const outcome = await attempt.then(
    () => "succeeded",
    (error: unknown) => (error === reason ? "the reason" : `rejected with ${String(error)}`),
  );
  assert.equal(outcome, "the reason", what);
}

export function followable(opened: ContentStore): ContentStore & Follower {
  if (!canFollow(opened)) assert.fail("the store has no `follow`: say so in `lacks`");
  return opened;
}

export function labelable(opened: ContentStore): ContentStore & Labeler {
  if (!canLabel(opened)) assert.fail("the store has no `label`: say so in `lacks`");
  return opened;
}

export function quarantining(opened: ContentStore): ContentStore & Quarantiner {
  if (!canQuarantine(opened)) assert.fail("the store has no `quarantine`: say so in `lacks`");
  return opened;
}
