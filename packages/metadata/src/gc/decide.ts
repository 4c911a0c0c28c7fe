import { setImmediate } from "node:timers/promises";
import type { Session } from "../database.ts";
import type { StoreContext } from "../store-context.ts";
import { GoneRecords } from "./gone-records.ts";
import type { Inventory } from "./inventory.ts";
import { GraphLoader } from "./load-graph.ts";
import type { IngestLimits } from "./judge-ingests.ts";
import { Marks } from "./mark.ts";
import type { Plan } from "./plan.ts";
import { planOf } from "./planner.ts";
import type { CollectOptions } from "./report.ts";

const day = 24 * 3_600_000;

/** How often a plan is made that may prove to be out of date, before one is made that cannot. */
const attempts = 4;
/** So few things are read, judged and removed in one transaction in a few milliseconds. */
const few = 1000;

/** What the plan is made from. */
export interface Case {
  readonly context: StoreContext;
  readonly inventory: Inventory;
  readonly options: CollectOptions;
}

/** A plan, and the state of the database that it is made for. */
export interface Decision {
  readonly plan: Plan;
  readonly version: string;
}

/** Decides what would go. */
export async function decide(all: Case): Promise<Plan> {
  const { database } = all.context;
  const { signal } = all.options;
  const gone = new GoneRecords();
  for (let attempt = 1; ; attempt += 1) {
    const { plan, version } = await decideAhead(all, gone);
    if (version === (await database.read(versionOf, signal))) return plan;
    if (isEnough(attempt, plan)) break;
  }
  return database.read((session) => decideAtOnce(session, all, gone), signal);
}

/**
 * Reading and marking a large store takes long, and a transaction blocks this thread and all writers: so it is done in
 * pieces. It is for the caller to make sure that nothing has changed meanwhile.
 */
export async function decideAhead(all: Case, gone: GoneRecords): Promise<Decision> {
  const { database } = all.context;
  const { signal } = all.options;
  const version = await database.read(versionOf, signal);
  const loader = new GraphLoader(all.inventory, limitsOf(all.options));
  while (!(await database.read((session) => loader.step(session), signal))) await pause(signal);
  const marks = new Marks(loader.graph);
  await stepwise(marks.run(), signal);
  return { version, plan: await stepwise(planOf({ loader, marks, inventory: all.inventory, gone }), signal) };
}

/** The same within one transaction. */
export function decideAtOnce(session: Session, all: Case, gone: GoneRecords): Plan {
  const loader = new GraphLoader(all.inventory, limitsOf(all.options));
  while (!loader.step(session));
  const marks = new Marks(loader.graph);
  for (const _ of marks.run());
  const planning = planOf({ loader, marks, inventory: all.inventory, gone });
  let step = planning.next();
  while (step.done !== true) step = planning.next();
  return step.value;
}

/** Whether a plan that cannot be out of date is to be made after one that was. */
export function isEnough(attempt: number, { graph }: Plan): boolean {
  return attempt === attempts || graph.size < few;
}

/** Tells apart states of the database: by what others have committed, and by what this connection has changed. */
export function versionOf(session: Session): string {
  const others = session.get("PRAGMA data_version")?.["data_version"];
  const ours = session.get("SELECT total_changes() AS changes")?.["changes"];
  return `${String(others)}/${String(ours)}`;
}

/** Gives everything else on this thread its turn whenever the work yields. */
export async function stepwise<T>(work: Generator<void, T, undefined>, signal: AbortSignal | undefined): Promise<T> {
  let step = work.next();
  for (; step.done !== true; step = work.next()) await pause(signal);
  return step.value;
}

function limitsOf({ ingestAgeMs = day, ingestBytes = Infinity }: CollectOptions): IngestLimits {
  return { ingestAgeMs, ingestBytes };
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}
