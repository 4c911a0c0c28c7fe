import { CodedError } from "@varve/errors";
import type { StoreContext } from "../store-context.ts";
import { decide, stepwise } from "./decide.ts";
import { decideAndRemove } from "./decide-and-remove.ts";
import { takeInventory } from "./inventory.ts";
import type { Sweep } from "./plan.ts";
import type { CollectedItem, CollectOptions, CollectReport } from "./report.ts";
import { sweepBlobs } from "./sweep-blobs.ts";
import { measureSnapshots, sweepIngests, sweepResources, sweepSnapshots } from "./sweep-backends.ts";
import type { Backends } from "./sweep-backends.ts";

// How many things are told between two chances to pause.
const stride = 2000;

type Failures = CollectReport["failed"];

interface Judged {
  readonly sweep: Sweep;
  readonly backends: Backends;
  readonly failed: Failures;
}

/**
 * Looks at what is stored below, decides which records go, removes them, and then removes below what has no record. A
 * run that ends anywhere leaves things below without a record, which the next one finds (K16).
 */
export async function collect(context: StoreContext, options: CollectOptions = {}): Promise<CollectReport> {
  const start = performance.now();
  checkOptions(options);
  const { signal, dryRun = false } = options;
  const { sweep, backends, failed } = await judge(context, options);
  await measureSnapshots(sweep, backends, signal);
  const failures = dryRun ? [] : await sweepAll(context, sweep, backends, signal);
  return stepwise(reportOf(sweep, [...failed, ...failures], start), undefined);
}

/** Decides what goes, and removes the records of it. What that took is freed before the long work below begins. */
async function judge(context: StoreContext, options: CollectOptions): Promise<Judged> {
  const inventory = await takeInventory(context, options.signal);
  const input = { context, inventory, options };
  const { sweep } = options.dryRun === true ? await decide(input) : await decideAndRemove(input);
  const backends = new Map([...inventory.snapshots].map(([name, { backend }]) => [name, backend]));
  return { sweep, backends, failed: inventory.failed };
}

/** @throws ERR_INVALID_ARGUMENT a limit is no number from 0 on */
export function checkOptions({ ingestAgeMs = 0, ingestBytes = 0 }: CollectOptions): void {
  for (const [name, value] of Object.entries({ ingestAgeMs, ingestBytes })) {
    if (!(value >= 0))
      throw new CodedError("ERR_INVALID_ARGUMENT", `collect: ${name} ${value}: needs a number from 0 on`);
  }
}

async function sweepAll(
  context: StoreContext,
  sweep: Sweep,
  backends: Backends,
  signal: AbortSignal | undefined,
): Promise<Failures> {
  await sweepBlobs(context, sweep.blobs, signal);
  await sweepIngests(context, sweep.ingests, signal);
  const failed = await sweepSnapshots(context, sweep, backends, signal);
  await sweepResources(context, sweep, signal);
  return failed;
}

function* reportOf(sweep: Sweep, failures: Failures, start: number): Generator<void, CollectReport, undefined> {
  const removed: CollectedItem[] = [];
  const failed = [...failures];
  let freed = 0;
  let count = 0;
  for (const { item, reason, hasRecord, bytes, error, spared, vanished = false } of sweep.removals) {
    count += 1;
    if (count % stride === 0) yield;
    if (error !== undefined) failed.push({ item, error });
    else if ((!spared && !vanished) || hasRecord)
      removed.push({ ...item, reason, bytes: spared || vanished ? 0 : bytes });
    if (error === undefined && !spared && !vanished) freed += bytes;
  }
  return { removed, failed, kept: sweep.kept, bytes: freed, durationMs: performance.now() - start };
}
