import type { StoreContext } from "../store-context.ts";
import type { CheckOptions, CheckReport } from "./report.ts";
import { surveyStore } from "./survey.ts";

/**
 * Holds the records against what is stored, and reads every blob. Nothing is changed, nobody is kept from working, and
 * what others are working on is no problem.
 *
 * @throws ERR_DATA_LOSS the database itself is damaged
 */
export async function checkStore(context: StoreContext, options: CheckOptions = {}): Promise<CheckReport> {
  options.signal?.throwIfAborted();
  const startedAt = performance.now();
  const { findings, images, blobs, snapshots, bytes } = await surveyStore(context, options);
  return {
    problems: findings.map(({ problem }) => problem),
    blobs,
    snapshots,
    images: images.length,
    bytes,
    durationMs: Math.round(performance.now() - startedAt),
  };
}
