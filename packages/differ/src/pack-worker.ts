import { listChanges, packLayer } from "@varve/archive";
import type { PackSummary } from "@varve/archive";
import { BlockRing } from "./block-ring.ts";
import { encodeChange } from "./change-codec.ts";
import type { ChangesJob, PackJob } from "./jobs.ts";
import { serveJobs } from "./serve-jobs.ts";

/** Changes are handed over so many bytes at a time: one by one, each would wake the other thread. */
const batchBytes = 64 * 1024;

serveJobs((job: ChangesJob | PackJob): PackSummary | undefined => (job.kind === "pack" ? pack(job) : list(job)));

function pack({ trees, sourceDateEpoch, output }: PackJob): PackSummary {
  const ring = new BlockRing(output);
  const archive = packLayer(trees, {
    sourceDateEpoch,
    allocate: () => ring.reserve(),
    check: () => ring.throwIfCancelled(),
  });
  try {
    let next = archive.next();
    for (; next.done !== true; next = archive.next()) ring.putSync(next.value);
    ring.end();
    return next.value;
  } finally {
    // When the ring was cancelled, what the walk holds open is closed.
    archive.return(nothing);
  }
}

const nothing: PackSummary = { entries: 0, bytes: 0, skipped: { sockets: 0 } };

function list({ trees, output }: ChangesJob): undefined {
  const ring = new BlockRing(output);
  let batch: Uint8Array[] = [];
  let held = 0;
  const flush = (): void => {
    ring.putSync(Buffer.concat(batch));
    batch = [];
    held = 0;
  };
  for (const change of listChanges(trees, { check: () => ring.throwIfCancelled() })) {
    const encoded = encodeChange(change);
    batch.push(encoded);
    held += encoded.length;
    if (held >= batchBytes) flush();
  }
  flush();
  ring.end();
}
