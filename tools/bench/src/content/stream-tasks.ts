import { createHash } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { Writer } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import type { Durability } from "@varve/content-fs";
import type { Result } from "../sections/result.ts";
import { timed } from "../sections/stopwatch.ts";

const mebibyte = 1 << 20;
/** As much as a socket gives at a time. */
const chunkSize = 65_536;
/** What is written at once. Memory that was used for pieces of one size is not taken for much larger ones. */
const writeSize = 2 * chunkSize;
const ref = "stream";

/** Bytes that cannot be compressed, and are the same in every process. A stream repeats them. */
function block(): Buffer {
  return createHash("shake256", { outputLength: 8 * mebibyte })
    .update("varve")
    .digest();
}

function* chunks(bytes: Buffer, from: number, to: number): Generator<Uint8Array> {
  for (let at = from; at < to; at += chunkSize) {
    const start = at % bytes.length;
    yield bytes.subarray(start, start + chunkSize);
  }
}

/** What nothing that verifies can beat: the hash alone, of bytes that are in memory. */
export function hashAlone(size: number): Promise<Result> {
  const bytes = block();
  return timed(async () => {
    const hash = createHash("sha256");
    for (const chunk of chunks(bytes, 0, size)) hash.update(chunk);
    return { count: size, check: `sha256:${hash.digest("hex")}` };
  });
}

/** What nothing that is durable can beat: the disk alone, kept busy from the start. */
export async function diskAlone(root: string, size: number): Promise<Result> {
  const bytes = block();
  const file = await open(join(root, "file"), "wx");
  try {
    return await timed(async () => {
      let syncing: Promise<void> | undefined;
      for (let at = 0; at < size; at += writeSize) {
        const start = at % bytes.length;
        await file.writev([bytes.subarray(start, start + writeSize)]);
        syncing ??= file.datasync().finally(() => {
          syncing = undefined;
        });
      }
      await syncing;
      await file.datasync();
      return { count: size };
    });
  } finally {
    await file.close();
  }
}

/**
 * Has the system use as much memory for a file as the stream will take, and give it back: on a virtual machine the first
 * who uses memory that the host must find pays eight times as much for a write as the next.
 */
export async function warmMemory(root: string, size: number): Promise<void> {
  const path = join(root, "warm");
  const file = await open(path, "wx");
  const bytes = Buffer.alloc(writeSize);
  for (let at = 0; at < size; at += writeSize) await file.writev([bytes]);
  await file.close();
  await rm(path);
}

/** Stores a stream, and goes on where `beginIngest` of another process ended, if one did. */
export async function ingest(root: string, size: number, durability: Durability): Promise<Result> {
  const bytes = block();
  await using store = await openContentStore({ root, durability });
  return await timed(async () => {
    const writer = await store.writer(ref);
    await pour(writer, bytes, size);
    return { count: size, check: await writer.commit({ size }) };
  });
}

/** Leaves an ingest with this many bytes, as a download does that breaks off. */
export async function beginIngest(root: string, size: number): Promise<void> {
  await using store = await openContentStore({ root });
  const writer = await store.writer(ref);
  await pour(writer, block(), size);
  await writer.close();
}

async function pour(writer: Writer, bytes: Buffer, size: number): Promise<void> {
  let sent = writer.status().offset;
  for (const chunk of chunks(bytes, sent, size)) {
    await writer.write(chunk);
    sent += chunk.length;
    // Bytes that come from a socket let everything else have its turn.
    if (sent % mebibyte === 0) await turn();
  }
}
