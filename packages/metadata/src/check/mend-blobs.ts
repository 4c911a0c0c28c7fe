import { blobExists, canQuarantine } from "@varve/content";
import type { ContentStore } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { StoreContext } from "../store-context.ts";
import { examine } from "./examine.ts";
import { isExpected } from "./find-blobs.ts";
import { whileRemoving } from "./removing.ts";

/** What was done, in a few words. */
type Action = string;

interface Signalled {
  readonly signal?: AbortSignal | undefined;
}

/** Takes a damaged blob away and forgets it, in every namespace, so that it can be fetched anew. */
export async function mendDamaged(
  { database, content }: StoreContext,
  digest: Digest,
  { signal }: Signalled,
): Promise<Action> {
  let action = "nothing: it is whole now";
  await whileRemoving(database, digest, async () => {
    // It may have been mended since it was looked at.
    const found = await examine(content, digest, { signal });
    if (found.kind === "whole") {
      const { size } = found;
      return (session) => {
        const sql = "UPDATE blobs SET size = ? WHERE digest = ? AND size <> ?";
        if (session.run(sql, size, digest, size) > 0) action = "size of the record corrected";
      };
    }
    const taken = found.kind === "missing" ? "it is gone" : await takeAway(content, digest, signal);
    return (session) => {
      const isForgotten = session.run("DELETE FROM blobs WHERE digest = ?", digest) > 0;
      action = isForgotten ? `${taken}, record removed` : taken;
    };
  });
  return action;
}

/** Forgets a blob that is not there. */
export async function mendMissing(
  { database, content }: StoreContext,
  missing: { readonly namespace: string; readonly digest: Digest },
  { signal }: Signalled,
): Promise<Action> {
  const { namespace, digest } = missing;
  let action = "nothing: it is stored now";
  await whileRemoving(database, digest, async () => {
    if (await blobExists(content, digest, { signal })) return () => undefined;
    action = "record removed";
    return (session) => session.run("DELETE FROM blobs WHERE namespace = ? AND digest = ?", namespace, digest);
  });
  return action;
}

/** Removes a blob that nobody knows, unless somebody has come to need it. */
export async function removeOrphan(
  { database, content }: StoreContext,
  digest: Digest,
  { signal }: Signalled,
): Promise<Action> {
  let action = "nothing: it is needed now";
  await whileRemoving(database, digest, async () => {
    const isNeeded = await database.read(
      (session) =>
        isExpected(session, digest) ||
        session.get("SELECT 1 FROM blobs WHERE digest = ? LIMIT 1", digest) !== undefined,
      signal,
    );
    if (isNeeded) return () => undefined;
    action = "removed";
    await ignoreMissing(content.delete(digest, { signal }));
    return () => undefined;
  });
  return action;
}

/** Drops an ingest that has no record, unless it has got one. */
export async function removeIngest(
  { database, content }: StoreContext,
  ref: string,
  { signal }: Signalled,
): Promise<Action> {
  const slash = Math.max(ref.indexOf("/"), 0);
  const row = await database.read(
    (session) =>
      session.get("SELECT 1 FROM ingests WHERE namespace = ? AND ref = ?", ref.slice(0, slash), ref.slice(slash + 1)),
    signal,
  );
  if (row !== undefined) return "nothing: it is needed now";
  await ignoreMissing(content.abort(ref, { signal }));
  return "removed";
}

async function takeAway(content: ContentStore, digest: Digest, signal: AbortSignal | undefined): Promise<Action> {
  if (canQuarantine(content)) return `quarantined as ${(await content.quarantine(digest, { signal })).id}`;
  await content.delete(digest, { signal });
  return "removed";
}

/** Somebody else was faster. */
export async function ignoreMissing(removing: Promise<void>): Promise<void> {
  try {
    await removing;
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_FOUND")) throw error;
  }
}
