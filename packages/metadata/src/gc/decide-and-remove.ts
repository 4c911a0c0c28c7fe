import type { Database, Session } from "../database.ts";
import { decideAhead, decideAtOnce, isEnough, stepwise, versionOf } from "./decide.ts";
import type { Case, Decision } from "./decide.ts";
import { GoneRecords } from "./gone-records.ts";
import type { Plan } from "./plan.ts";
import { removalOrder } from "./removal-order.ts";
import type { RemovalOrder } from "./removal-order.ts";
import { removePiece, removeRecords } from "./remove-records.ts";

/** So few records go in one transaction that is on disk at once. */
const few = 100;

/**
 * Decides what goes, and removes the records of it piece by piece, as a transaction blocks this thread and all writers.
 * Each piece makes sure that nothing but the pieces before it has changed the records since they were read; if something
 * has, it is decided anew. In a store that never rests the last attempt does all that is left in one transaction.
 */
export async function decideAndRemove(all: Case): Promise<Plan> {
  const gone = new GoneRecords();
  const pieces = new Pieces(all.context.database, all.options.signal);
  for (let attempt = 1; ; attempt += 1) {
    const decision = await decideAhead(all, gone);
    const order = await stepwise(removalOrder(decision.plan.graph, decision.plan.records), all.options.signal);
    const end = await pieces.remove(decision, order);
    if (end === undefined) return decision.plan;
    gone.add(decision.plan, order.nodes.slice(0, end));
    if (isEnough(attempt, decision.plan)) break;
  }
  return all.context.database.free((session) => {
    const plan = decideAtOnce(session, all, gone);
    removeRecords(session, plan);
    return plan;
  }, all.options.signal);
}

class Pieces {
  readonly #database: Database;
  readonly #signal: AbortSignal | undefined;
  /** Something was removed that a power cut may bring back. */
  #isPending = false;

  constructor(database: Database, signal: AbortSignal | undefined) {
    this.#database = database;
    this.#signal = signal;
  }

  /** Says how many were removed if something else has changed meanwhile. When all are, that is on disk. */
  async remove({ plan, version }: Decision, order: RemovalOrder): Promise<number | undefined> {
    const { nodes } = order;
    let [at, state] = [0, version];
    do {
      const start = at;
      const isDurable = nodes.length - start <= few;
      const inState = unchanged(state, (session) => removePiece(session, plan, order, start));
      const piece = isDurable
        ? await this.#database.free(inState, this.#signal)
        : await this.#database.freeSoon(inState, this.#signal);
      if (piece === undefined) return start;
      [at, state] = [piece.result, piece.version];
      if (at > start) this.#isPending = !isDurable;
    } while (at < nodes.length);
    // What goes below must not come back above.
    if (this.#isPending) await this.#database.settle();
    this.#isPending = false;
    return undefined;
  }
}

interface Done {
  readonly result: number;
  readonly version: string;
}

/** A section that does nothing, and has no result, if the database is not as it was. */
function unchanged(version: string, section: (session: Session) => number): (session: Session) => Done | undefined {
  // A section whose transaction has failed is run again. What it had changed counts, although it was undone.
  let undone = version;
  return (session) => {
    const found = versionOf(session);
    if (found !== version && found !== undone) return undefined;
    try {
      const result = section(session);
      return { result, version: versionOf(session) };
    } finally {
      undone = versionOf(session);
    }
  };
}
