import { createLayerWriter, settleLayer } from "@varve/archive";
import { BlockRing } from "./block-ring.ts";
import type { ApplyJob, SettleJob, Settled, Written } from "./jobs.ts";
import { serveJobs } from "./serve-jobs.ts";

serveJobs((job: ApplyJob | SettleJob): Settled | Written => (job.kind === "apply" ? apply(job) : settle(job)));

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
