import { createLayerWriter, settleLayer } from "@varve/archive";
import { createDigester } from "@varve/digest";
import { BlockRing } from "./block-ring.ts";
import type { Applied, ApplyJob, SettleJob, Settled } from "./jobs.ts";
import { serveJobs } from "./serve-jobs.ts";

serveJobs((job: ApplyJob | SettleJob): Applied | Settled => (job.kind === "apply" ? apply(job) : settle(job)));

function apply(job: ApplyJob): Applied {
  const digester = createDigester();
  const writer = createLayerWriter(job.root, job.options);
  try {
    new BlockRing(job.input).drainSync((block) => {
      // The diff ID covers what follows the end of the archive, too (U-DIFF.3).
      digester.update(block);
      writer.write(block);
    });
    const { questions } = writer.end();
    return { digest: digester.digest(), size: digester.size, questions };
  } finally {
    writer.abort();
  }
}

function settle({ upper, lower, questions, options }: SettleJob): Settled {
  return settleLayer(upper, lower, questions, options);
}
