import { setImmediate } from "node:timers/promises";
import type { Session } from "../database.ts";
import type { StoreContext } from "../store-context.ts";
import type { Inventory } from "./inventory.ts";
import { GraphLoader } from "./load-graph.ts";
import type { IngestLimits } from "./judge-ingests.ts";
import { Marks } from "./mark.ts";
import type { Plan } from "./plan.ts";
import { planOf } from "./planner.ts";
import { removeRecords } from "./remove-records.ts";
import type { CollectOptions } from "./report.ts";

const day = 24 * 3_600_000;
/** From so many records on their removal gets more memory. */
const largeRun = 2000;

/** What the plan is made from. */
export interface Case {
  readonly context: StoreContext;
  readonly inventory: Inventory;
  readonly options: CollectOptions;
}

/**
 * Decides what goes, and removes the records of it: in one transaction. Reading and marking a large store takes long, and a
 * transaction blocks this thread and all writers, so it is done before, in pieces; the transaction then makes sure that
 * nothing has changed since, or else does it all again itself.
 */
export async function decideAndRemove(all: Case): Promise<Plan> {
  const { database } = all.context;
  const ahead = await decideAhead(all);
  const isLarge = ahead.plan.records.length > largeRun;
  // What does not fit into the cache of a connection is written twice while the others wait.
  if (isLarge) await database.execute("PRAGMA cache_size = -65536");
  try {
    return await database.free((session) => {
      const plan = ahead.version === versionOf(session) ? ahead.plan : decideAtOnce(session, all);
      removeRecords(session, plan);
      return plan;
    }, all.options.signal);
  } finally {
    if (isLarge) await database.execute("PRAGMA cache_size = -2000");
  }
}

/** Decides what would go. */
export async function decide(all: Case): Promise<Plan> {
  const ahead = await decideAhead(all);
  return all.context.database.read(
    (session) => (ahead.version === versionOf(session) ? ahead.plan : decideAtOnce(session, all)),
    all.options.signal,
  );
}

async function decideAhead(all: Case): Promise<{ readonly version: string; readonly plan: Plan }> {
  const { database } = all.context;
  const { signal } = all.options;
  const version = await database.read(versionOf, signal);
  const loader = new GraphLoader(all.inventory, limitsOf(all.options));
  while (!(await database.read((session) => loader.step(session), signal))) await pause(signal);
  const marks = new Marks(loader.graph);
  for (const _ of marks.run()) await pause(signal);
  const planning = planOf(loader, marks, all.inventory);
  let step = planning.next();
  for (; step.done !== true; step = planning.next()) await pause(signal);
  return { version, plan: step.value };
}

function decideAtOnce(session: Session, all: Case): Plan {
  const loader = new GraphLoader(all.inventory, limitsOf(all.options));
  while (!loader.step(session));
  const marks = new Marks(loader.graph);
  for (const _ of marks.run());
  const planning = planOf(loader, marks, all.inventory);
  let step = planning.next();
  while (step.done !== true) step = planning.next();
  return step.value;
}

/** Tells apart states of the database: by what others have committed, and by what this connection has changed. */
function versionOf(session: Session): string {
  const others = session.get("PRAGMA data_version")?.["data_version"];
  const ours = session.get("SELECT total_changes() AS changes")?.["changes"];
  return `${String(others)}/${String(ours)}`;
}

function limitsOf({ ingestAgeMs = day, ingestBytes = Infinity }: CollectOptions): IngestLimits {
  return { ingestAgeMs, ingestBytes };
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}
