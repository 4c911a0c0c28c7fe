// Lets every call to the file system fail once, in turn, and tells what came of it: one line of JSON. Its argument is the
// code of the error.
import { arm, disarm } from "./faulty-fs.ts";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Digest } from "@varve/digest";

// After the functions that fail are in place.
const { readBlob, writeBlob } = await import("@varve/content");
const { hasCode } = await import("@varve/errors");
const { openContentStore } = await import("@varve/content-fs");
type Store = Awaited<ReturnType<typeof openContentStore>>;

const [code = "EIO", calls = ""] = process.argv.slice(2);
const bytes = createHash("shake256", { outputLength: 300_000 }).update("varve").digest();
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
const expected = { digest, size: bytes.byteLength };
const descriptor = { mediaType: "application/octet-stream", ...expected };
const problems: string[] = [];
const failed: Record<string, number> = {};

async function* stream(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

/** What is done with the store, from nothing; done again, it must succeed. */
const works: Record<string, (store: Store) => Promise<void>> = {
  write: async (store) => {
    await writeBlob(store, "ref", stream(), { expected });
  },
  continue: async (store) => {
    const first = await store.writer("ref");
    if (first.status().offset < 100_000) await first.write(bytes.subarray(first.status().offset, 100_000));
    await first.close();
    await writeBlob(store, "ref", stream());
  },
  truncate: async (store) => {
    const writer = await store.writer("ref");
    try {
      await writer.write(bytes.subarray(0, 1000));
      await writer.truncate();
      await writer.write(bytes);
      await writer.commit(expected);
    } finally {
      await writer.close();
    }
  },
  remove: async (store) => {
    await writeBlob(store, "ref", bytes, { expected });
    const writer = await store.writer("other");
    await writer.close();
    // A disk that could not keep its bytes has ended it already.
    await store.abort("other").catch((error: unknown) => {
      if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
    });
    await store.delete(digest);
    await writeBlob(store, "ref", bytes, { expected });
    const { id } = await store.quarantine(digest);
    await store.discard(id);
    await writeBlob(store, "ref", bytes, { expected });
  },
};

/** Whether the call was reached. */
async function attempt(name: string, work: (store: Store) => Promise<void>, n: number): Promise<boolean> {
  const root = mkdtempSync(join(tmpdir(), "varve-content-fs-"));
  const say = (what: string): number => problems.push(`${name}, call ${n} (${disarm()}): ${what}`);
  try {
    const store = await openContentStore({ root });
    arm(n, code, calls);
    let error: unknown;
    await work(store).catch((thrown: unknown) => {
      error = thrown;
    });
    const fired = disarm();
    if (fired !== undefined) failed[fired] = (failed[fired] ?? 0) + 1;
    if (error !== undefined) check(error, say);
    await work(store).catch((thrown: unknown) => {
      if (!hasCode(thrown, "ERR_ALREADY_EXISTS")) say(`${String(error)}; done again: ${String(thrown)}`);
    });
    const stored = await readBlob(store, descriptor).catch(String);
    if (typeof stored === "string" || !bytes.equals(stored))
      say(`${String(error)}; stored: ${String(stored).slice(0, 80)}`);
    await store.close();
    await (await openContentStore({ root })).close();
    const left = readdirSync(join(root, "ingest")).filter((file) => file !== "lock");
    if (left.length > 0) say(`left: ${left.join(", ")}`);
    return fired !== undefined;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The code is kept, and the message says what it is about (I7). */
function check(error: unknown, say: (what: string) => number): void {
  if (!(error instanceof Error) || !("code" in error)) say(`threw ${String(error)}`);
  // Descriptors come free again, and the store waits for that (F04).
  else if (code === "EMFILE") say(error.message);
  else if (error.code !== code) say(`code ${String(error.code)}: ${error.message}`);
  else if (
    !error.message.includes("ref") &&
    !error.message.includes(digest) &&
    !/other|quarantine/.test(error.message)
  ) {
    say(`message ${error.message}`);
  }
}

for (const [name, work] of Object.entries(works)) {
  for (let n = 1; n < 100 && (await attempt(name, work, n)); n += 1);
}
process.stdout.write(`${JSON.stringify({ failed, problems })}\n`);
