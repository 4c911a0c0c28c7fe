import { createDecoder } from "@varve/compression";
import { BlockRing } from "./block-ring.ts";
import type { DecodeJob } from "./jobs.ts";
import { serveJobs } from "./serve-jobs.ts";

serveJobs((job: DecodeJob): void => {
  const output = new BlockRing(job.output);
  // The decompressor writes straight into the ring; blocks that came uncompressed are copied there.
  const decoder = createDecoder("detect", { allocate: () => output.reserve() });
  const pass = (blocks: Iterable<Uint8Array>): void => {
    for (const block of blocks) output.putSync(block);
  };
  try {
    new BlockRing(job.input).drainSync((block) => pass(decoder.decode(block)));
    pass(decoder.end());
    output.end();
  } finally {
    decoder.close();
  }
});
