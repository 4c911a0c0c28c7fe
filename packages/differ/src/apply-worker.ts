import { createLayerWriter, emptyDirectory, settleLayer } from "@varve/archive";
import { BlockRing } from "./block-ring.ts";
import type { ApplyJob, EmptyJob, SettleJob, Settled, Written } from "./jobs.ts";
import { serveJobs } from "./serve-jobs.ts";

serveJobs((job: ApplyJob | EmptyJob | SettleJob): Settled | Written | undefined => {
  if (job.kind === "apply") return apply(job);
  if (job.kind === "settle") return settle(job);
  emptyDirectory(job.directory);
  return undefined;
});

function apply(job: ApplyJob): Written {
  const writer = createLayerWriter(job.root, job.options);
  try {
    new BlockRing(job.input).drainSync((block) => writer.write(block));
    const { entries, skipped, questions } = writer.end();
    return { entries, skipped, questions };
  } finally {
    writer.abort();
  }
}

function settle({ upper, lower, questions, options }: SettleJob): Settled {
  return settleLayer(upper, lower, questions, options);
}
