import { lstatSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { Digest } from "@varve/digest";
import { holds, retire } from "./claims.ts";
import type { Claim } from "./claims.ts";
import type { Syncer } from "./durability.ts";
import { isErrno, removeFile } from "./errno.ts";
import { endIngest } from "./holder.ts";
import { blobPath, dataPath } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { makeDirectory } from "./make-directory.ts";
import { moveToQuarantine } from "./quarantine.ts";
import type { RecordFiles } from "./record-files.ts";
import { removeAll } from "./remove-all.ts";
import type { StoreLock } from "./store-lock.ts";

export interface PublishHost {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly syncer: Syncer;
  readonly records: RecordFiles;
}

/** `lost`: the claim does not stand any more. */
export type Published = "new" | "exists" | "lost";

interface Moved {
  readonly outcome: Published;
  readonly madeDirectory: boolean;
  readonly trash: readonly string[];
}

/**
 * Makes verified bytes a blob and ends their ingest (U-LCS.10). What stands in the place of the blob and is not as long is
 * damaged, and gives way.
 */
export async function publish(
  host: PublishHost,
  claim: Claim,
  blob: { readonly digest: Digest; readonly size: number },
): Promise<Published> {
  const { layout, lock, syncer } = host;
  const { outcome, madeDirectory, trash } = await lock.run(() => {
    const moved = move(layout, claim, blob);
    // With nothing to wait for, the ingest is ended in the same step.
    if (moved.outcome !== "lost" && !syncer.enabled) endIngest(host.records, claim, blob.digest);
    return moved;
  });
  if (outcome !== "lost" && syncer.enabled) {
    const path = blobPath(layout, blob.digest);
    try {
      // For a blob that exists too: whoever made it visible may not have come as far as this.
      await syncer.directory(dirname(path));
      if (madeDirectory) await syncer.directory(layout.blobs);
    } catch (error) {
      // A blob that may not last must not be found by others.
      if (outcome === "new") await lock.run(() => takeBack(claim, path));
      throw error;
    }
    await lock.run(() => {
      if (holds(claim)) endIngest(host.records, claim, blob.digest);
    });
  }
  await removeAll(trash);
  return outcome;
}

/** Under the lock. The data file has its name only as long as the claim stands. */
function move(layout: Layout, claim: Claim, { digest, size }: { digest: Digest; size: number }): Moved {
  const target = blobPath(layout, digest);
  const data = dataPath(claim.paths, claim.record.data);
  const there = lstatSync(target, { throwIfNoEntry: false });
  if (there?.isFile() === true && there.size === size) {
    const trash = retire(layout, data);
    return { outcome: trash.length === 0 ? "lost" : "exists", madeDirectory: false, trash };
  }
  if (there?.isDirectory() === true) moveToQuarantine(layout, digest);
  const isMoved = rename(data, target);
  if (isMoved) return { outcome: "new", madeDirectory: false, trash: [] };
  const madeDirectory = makeDirectory(dirname(target));
  return { outcome: madeDirectory && rename(data, target) ? "new" : "lost", madeDirectory, trash: [] };
}

function rename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}

/** Under the lock: the bytes are an ingest again. */
function takeBack(claim: Claim, path: string): void {
  if (holds(claim)) rename(path, dataPath(claim.paths, claim.record.data));
  else removeFile(path);
}
