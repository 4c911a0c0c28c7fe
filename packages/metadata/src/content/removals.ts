import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { backoffDelays, isOwnerAlive, sleep } from "@varve/locks";
import type { Database, Session } from "../database.ts";
import { textOf } from "../pages.ts";

const patienceMs = 10_000;

/** Whether a collector is taking the blob from the store below. What one that was killed has begun counts no more. */
export function isBeingRemoved(session: Session, digest: Digest): boolean {
  const row = session.get("SELECT owner FROM removals WHERE digest = ?", digest);
  return row !== undefined && isOwnerAlive(textOf(row, "owner"));
}

/** @throws ERR_UNAVAILABLE the collector is at it for 10 s */
export async function untilRemoved(database: Database, digest: Digest, signal: AbortSignal | undefined): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (const delay of backoffDelays({ cap: 256 })) {
    if (!(await database.read((session) => isBeingRemoved(session, digest), signal))) return;
    if (performance.now() > deadline) throw beingRemoved(digest);
    await sleep(delay, { signal });
  }
}

export function beingRemoved(digest: Digest): CodedError {
  return new CodedError("ERR_UNAVAILABLE", `content ${digest}: is being collected: try again`);
}
