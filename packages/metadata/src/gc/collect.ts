import { CodedError } from "@varve/errors";
import type { StoreContext } from "../store-context.ts";
import { decide, decideAndRemove } from "./decide.ts";
import { takeInventory } from "./inventory.ts";
import type { Inventory } from "./inventory.ts";
import type { Plan } from "./plan.ts";
import type { CollectedItem, CollectOptions, CollectReport } from "./report.ts";
import { sweepBlobs } from "./sweep-blobs.ts";
import { measureSnapshots, sweepIngests, sweepResources, sweepSnapshots } from "./sweep-backends.ts";

type Failures = CollectReport["failed"];

/**
 * Looks at what is stored below, decides in one transaction which records go, and then removes below what has no record. A
 * run that ends anywhere leaves things below without a record, which the next one finds (K16).
 */
export async function collect(context: StoreContext, options: CollectOptions = {}): Promise<CollectReport> {
  const start = performance.now();
  checkOptions(options);
  const { signal, dryRun = false } = options;
  const inventory = await takeInventory(context, signal);
  const input = { context, inventory, options };
  const plan = dryRun ? await decide(input) : await decideAndRemove(input);
  await measureSnapshots(plan, inventory, signal);
  const failed = dryRun ? [] : await sweep(context, plan, inventory, signal);
  return reportOf(plan, [...inventory.failed, ...failed], performance.now() - start);
}

/** @throws ERR_INVALID_ARGUMENT a limit is no number from 0 on */
export function checkOptions({ ingestAgeMs = 0, ingestBytes = 0 }: CollectOptions): void {
  for (const [name, value] of Object.entries({ ingestAgeMs, ingestBytes })) {
    if (!(value >= 0))
      throw new CodedError("ERR_INVALID_ARGUMENT", `collect: ${name} ${value}: needs a number from 0 on`);
  }
}

async function sweep(
  context: StoreContext,
  plan: Plan,
  inventory: Inventory,
  signal: AbortSignal | undefined,
): Promise<Failures> {
  await sweepBlobs(context, plan.blobs, signal);
  await sweepIngests(context, plan.ingests, signal);
  const failed = await sweepSnapshots(context, plan, inventory, signal);
  await sweepResources(context, plan, signal);
  return failed;
}

function reportOf(plan: Plan, failures: Failures, durationMs: number): CollectReport {
  const removed: CollectedItem[] = [];
  const failed = [...failures];
  for (const { item, reason, hasRecord, bytes, error, spared = false } of plan.removals) {
    if (error !== undefined) failed.push({ item, error });
    else if (!spared) removed.push({ ...item, reason, bytes });
    else if (hasRecord) removed.push({ ...item, reason, bytes: 0 });
  }
  const bytes = removed.reduce((sum, item) => sum + item.bytes, 0);
  return { removed, failed, kept: plan.kept, bytes, durationMs };
}
