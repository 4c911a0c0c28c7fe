import { existsSync } from "node:fs";
import { join } from "node:path";
import { isOwnerAlive } from "@varve/locks";
import { retire } from "./claims.ts";
import type { Syncer } from "./durability.ts";
import { isErrno, removeFile } from "./errno.ts";
import { readRecord } from "./ingest-record.ts";
import { dataPath, ingestFileOf, isTrashName, privateOwner } from "./layout.ts";
import type { IngestFile, IngestPaths, Layout } from "./layout.ts";
import { namesIn } from "./names-in.ts";
import { removeAll } from "./remove-all.ts";
import type { StoreLock } from "./store-lock.ts";

/** What is no reason not to open a store: sweeping can wait, reading and removing cannot (F01, F03, F05). */
const unimportant = ["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT"];
/** A note of what came of an ingest is for those who follow it; by then they have looked. */
const noteMs = 60 * 60 * 1000;

export interface SweepHost {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly syncer: Syncer;
}

/** Removes trash, and what is left of ingests that nobody can continue (K01, K02, K08). */
export async function sweep(host: SweepHost): Promise<void> {
  for await (const names of namesIn(host.layout.ingests)) {
    for (const name of names) {
      try {
        await sweepOne(host, name);
      } catch (error) {
        if (!isErrno(error, ...unimportant)) throw error;
      }
    }
  }
}

async function sweepOne(host: SweepHost, name: string): Promise<void> {
  const { layout, lock } = host;
  const path = join(layout.ingests, name);
  const owner = privateOwner(name);
  if (isTrashName(name) || (owner !== undefined && !isOwnerAlive(owner))) await removeAll([path]);
  const file = ingestFileOf(layout, name);
  if (file === undefined || !isLeftover(file)) return;
  if (file.kind === "record") await finishCommit(host, file.paths);
  // Looked at again under the lock. Files are made under it, so a half one that is seen there is dead.
  const trash = await lock.run(() => (isLeftover(file) ? take(layout, file) : []));
  await removeAll(trash);
}

function isLeftover(file: IngestFile): boolean {
  if (file.kind === "record half replaced") return true;
  const record = readRecord(file.paths);
  if (file.kind === "data") return record?.data !== file.name;
  if (record === undefined) return existsSync(file.paths.record);
  const isHeld = record.state !== "free" && isOwnerAlive(record.owner);
  if (record.state === "done") return !isHeld || Math.abs(Date.now() - record.since.getTime()) > noteMs;
  return !isHeld && (record.state === "lost" || !existsSync(dataPath(file.paths, record.data)));
}

/** Under the lock. */
function take(layout: Layout, file: IngestFile): readonly string[] {
  if (file.kind === "data") return retire(layout, dataPath(file.paths, file.name));
  const record = readRecord(file.paths);
  removeFile(file.kind === "record" ? file.paths.record : `${file.paths.record}.new`);
  if (file.kind !== "record" || record === undefined) return [];
  return retire(layout, dataPath(file.paths, record.data));
}

/** A process that died right after it made its blob visible may not have brought the name to disk. */
async function finishCommit({ layout, syncer }: SweepHost, paths: IngestPaths): Promise<void> {
  if (readRecord(paths) === undefined) return;
  for await (const names of namesIn(layout.blobs)) {
    for (const name of names) await syncer.directory(join(layout.blobs, name));
  }
  await syncer.directory(layout.blobs);
}
