import { hasCode } from "@varve/errors";
import { parseDigest } from "@varve/digest";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import type { Database, Session } from "../database.ts";
import type { StoreContext } from "../store-context.ts";
import { inParallel } from "./in-parallel.ts";
import type { BackendRemoval } from "./plan.ts";

const batchSize = 256;

/** Claims that could not be given back, on a full disk say: given back together with the next ones. */
const stuck: WeakMap<Database, Set<string>> = new WeakMap();

/**
 * Removes blobs below. Each is claimed in `removals` first, in a transaction that makes sure that there is still no record
 * of it and none to come; while it is claimed nobody makes one. Of a killed process the claims count for nothing.
 */
export async function sweepBlobs(
  context: StoreContext,
  blobs: readonly BackendRemoval[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { database, content } = context;
  const claimed = stuck.get(database) ?? new Set<string>();
  stuck.delete(database);
  try {
    for (let start = 0; start < blobs.length; start += batchSize) {
      const batch = blobs.slice(start, start + batchSize);
      const done = [...claimed];
      const inOneStep = (session: Session): readonly BackendRemoval[] => {
        release(session, done);
        return claim(session, batch);
      };
      // Claims need not outlive a power cut, which ends their processes too.
      const taken = await database.freeSoon(inOneStep, signal);
      for (const digest of done) claimed.delete(digest);
      for (const { id } of taken) claimed.add(id);
      await inParallel(taken, signal, async ({ id, removal }) => {
        try {
          await content.delete(parseDigest(id), { signal });
        } catch (error) {
          signal?.throwIfAborted();
          if (!hasCode(error, "ERR_NOT_FOUND")) removal.error = error;
        }
      });
    }
  } finally {
    await giveBack(database, claimed);
  }
}

/** Rows of processes that are dead, and of this one's claims. */
async function giveBack(database: Database, claimed: ReadonlySet<string>): Promise<void> {
  try {
    // Not under the caller's signal: a claim that stays keeps others from writing the blob (G-43).
    const pending = await database.read((session) => session.get("SELECT 1 FROM removals LIMIT 1") !== undefined);
    if (!pending) return;
    await database.freeSoon((session) => {
      release(session, [...claimed]);
      dropDead(session);
    });
  } catch (error) {
    // Another run that goes on meanwhile may have left some there, too.
    stuck.set(database, new Set([...(stuck.get(database) ?? []), ...claimed]));
    throw error;
  }
}

function claim(session: Session, batch: readonly BackendRemoval[]): readonly BackendRemoval[] {
  dropDead(session);
  const expected = new Set(session.all("SELECT DISTINCT expected FROM ingests").map((row) => row["expected"]));
  const owner = currentOwner();
  return batch.filter(({ id, removal }) => {
    const isWanted = expected.has(id) || session.get("SELECT 1 FROM blobs WHERE digest = ? LIMIT 1", id) !== undefined;
    const isOurs =
      !isWanted && session.run("INSERT OR IGNORE INTO removals (digest, owner) VALUES (?, ?)", id, owner) === 1;
    removal.spared = !isOurs;
    return isOurs;
  });
}

function release(session: Session, digests: readonly string[]): void {
  for (const digest of digests) session.run("DELETE FROM removals WHERE digest = ?", digest);
}

function dropDead(session: Session): void {
  for (const row of session.all("SELECT DISTINCT owner FROM removals")) {
    const owner = String(row["owner"]);
    if (!isOwnerAlive(owner)) session.run("DELETE FROM removals WHERE owner = ?", owner);
  }
}
