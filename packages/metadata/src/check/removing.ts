import type { Digest } from "@varve/digest";
import { currentOwner } from "@varve/locks";
import { beingRemoved, isBeingRemoved } from "../content/removals.ts";
import type { Database, Session } from "../database.ts";

/** What to do in the last transaction of a removal. */
export type Conclusion = (session: Session) => void;

/**
 * Does something to a blob below while nobody can make a record of it, nor be told that it is stored: the same claim that
 * the collector makes. The records follow in the transaction that ends it.
 *
 * @throws ERR_UNAVAILABLE somebody else is at it
 */
export async function whileRemoving(
  database: Database,
  digest: Digest,
  work: () => Promise<Conclusion>,
): Promise<void> {
  await database.free((session) => {
    if (isBeingRemoved(session, digest)) throw beingRemoved(digest);
    session.run("INSERT OR REPLACE INTO removals (digest, owner) VALUES (?, ?)", digest, currentOwner());
  });
  let conclude: Conclusion | undefined;
  try {
    conclude = await work();
  } finally {
    // Whatever has become of the caller: a claim that stays keeps others from writing the blob (G-43).
    await database.free((session) => {
      conclude?.(session);
      session.run("DELETE FROM removals WHERE digest = ?", digest);
    });
  }
}
