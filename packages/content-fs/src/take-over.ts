import { closeSync, constants } from "node:fs";
import { copyFile } from "node:fs/promises";
import type { Expected } from "@varve/content";
import { currentOwner } from "@varve/locks";
import { claim, retire } from "./claims.ts";
import type { Claim, Stalled, StallCopy } from "./claims.ts";
import { isErrno, removeFile } from "./errno.ts";
import { removeRecord } from "./holder.ts";
import { dataPath, privatePath } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { retryOpen } from "./open-retry.ts";
import type { RecordFiles } from "./record-files.ts";
import { removeAll } from "./remove-all.ts";
import type { StallWatch } from "./stall-watch.ts";
import type { StoreLock } from "./store-lock.ts";

export interface ClaimHost {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly stall: StallWatch;
  readonly records: RecordFiles;
}

export interface ClaimWish {
  readonly ref: string;
  readonly expected: Expected;
  /** Throws if the blob has been stored meanwhile; its ingest is ended then. */
  readonly mustBeMissing: () => void;
}

/**
 * Claims a ref, from a holder that is stalled if need be. The bytes of such a holder are copied first, while it holds the
 * ref still: nobody can keep it from writing to its own file, and two never write one. If it comes to life meanwhile it
 * keeps the ref, and the copy was in vain.
 *
 * @throws ERR_UNAVAILABLE a living process has it, and it is not stalled
 */
export async function claimRef(host: ClaimHost, wish: ClaimWish, signal: AbortSignal | undefined): Promise<Claim> {
  const attempt = (copy?: StallCopy): Promise<Claim | Stalled> =>
    retryOpen(() => host.lock.run(() => claimMissing(host, wish, copy), signal), signal);
  let outcome = await attempt();
  while ("stalled" in outcome) {
    signal?.throwIfAborted();
    const { data, mark } = outcome;
    const path = privatePath(host.layout, currentOwner());
    try {
      await copyIfThere(data, path);
      outcome = await attempt({ path, mark });
    } finally {
      await removeAll([path]);
    }
  }
  await removeAll(outcome.trash);
  return outcome;
}

/** Under the lock. */
function claimMissing(host: ClaimHost, wish: ClaimWish, copy: StallCopy | undefined): Claim | Stalled {
  const { layout, stall, records } = host;
  const claimed = claim(layout, wish.ref, { expected: wish.expected, stall, records, copy });
  if ("stalled" in claimed) return claimed;
  try {
    wish.mustBeMissing();
    return claimed;
  } catch (error) {
    closeSync(claimed.fd);
    const { paths, record } = claimed;
    removeRecord(records, claimed);
    if (claimed.recordFile !== undefined) records.release(claimed.recordFile);
    for (const path of [...claimed.trash, ...retire(layout, dataPath(paths, record.data))]) removeFile(path);
    throw error;
  }
}

/** Without copying a byte where the file system can share them. */
async function copyIfThere(from: string, to: string): Promise<void> {
  try {
    await retryOpen(() => copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL));
  } catch (error) {
    // Its holder has ended; the next attempt sees that.
    if (!isErrno(error, "ENOENT")) throw error;
  }
}
