import { createDecoder } from "@varve/compression";
import type { DecoderFactory } from "@varve/compression";
import { createIsalDecoders } from "@varve/compression-isal";
import { BlockRing } from "./block-ring.ts";
import { hashRing } from "./hash-ring.ts";
import type { DecodeJob, Hashed, HashJob } from "./jobs.ts";
import { serveJobs } from "./serve-jobs.ts";
import { StreamHasher } from "./stream-hasher.ts";

/** Looked for once, when it is first wanted; `null` is a system without. */
let system: DecoderFactory | null | undefined;

function systemDecoders(): DecoderFactory | undefined {
  if (system === undefined) system = createIsalDecoders() ?? null;
  return system ?? undefined;
}

serveJobs(async (job: DecodeJob | HashJob): Promise<Hashed | undefined> => {
  if (job.kind === "hash") return hashRing(job);
  const hasher = job.hash === undefined ? undefined : await StreamHasher.open(job.hash.split);
  try {
    decode(job, hasher);
    return hasher?.end();
  } finally {
    hasher?.abort();
  }
});

function decode({ input, output: memory, limits, decoders }: DecodeJob, hasher: StreamHasher | undefined): void {
  const output = new BlockRing(memory);
  const decoder = createDecoder("detect", {
    ...limits,
    decoders: decoders === "node" ? undefined : systemDecoders(),
    // The decompressor writes straight into the ring.
    allocate: () => output.reserve(),
  });
  const pass = (blocks: Iterable<Uint8Array>): void => {
    for (const block of blocks) {
      output.putSync(block);
      // It stays as it is until another is put in its place, which only this thread does.
      hasher?.write(block);
    }
  };
  try {
    new BlockRing(input).drainSync((block) => pass(decoder.decode(block)));
    pass(decoder.end());
    output.end();
  } finally {
    decoder.close();
  }
}
