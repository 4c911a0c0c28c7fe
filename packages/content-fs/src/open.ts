import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { ContentStore, Follower, Quarantiner } from "@varve/content";
import { CodedError } from "@varve/errors";
import { Syncer } from "./durability.ts";
import type { Durability } from "./durability.ts";
import { FsContentStore } from "./fs-store.ts";
import { hashThread } from "./hash-thread.ts";
import { layoutOf } from "./layout.ts";
import { StallWatch } from "./stall-watch.ts";
import { StoreLock } from "./store-lock.ts";
import { sweep } from "./sweep.ts";

export interface ContentStoreOptions {
  /** Directory of the store; it is made if it is missing. */
  readonly root: string;
  /**
   * `full` (default): a committed blob survives a power cut. `none`: the operating system writes it when it likes; faster,
   * for stores that can be filled again.
   */
  readonly durability?: Durability | undefined;
  /**
   * Milliseconds. Who wants a ref whose writer lives, but has brought nothing forward for so long, takes it over; the old
   * writer's next call fails with ERR_ABORTED. Bytes that reach the file are progress, hashing and committing too. All
   * processes that share a store should agree on it. Default: 60,000; Infinity: never.
   */
  readonly stallMs?: number | undefined;
}

/**
 * Opens a content store in a directory. Any number of processes may have it open at once.
 * What a killed process left half made is removed; ingests that can be continued stay.
 *
 * @throws ERR_INVALID_ARGUMENT an option has no possible value
 */
export async function openContentStore(options: ContentStoreOptions): Promise<ContentStore & Follower & Quarantiner> {
  const { stallMs = 60_000, durability = "full" } = options;
  if (!(stallMs > 0)) throw new CodedError("ERR_INVALID_ARGUMENT", `content store: stallMs ${stallMs} is not above 0`);
  const layout = layoutOf(resolve(options.root));
  const syncer = new Syncer(durability);
  await mkdir(layout.root, { recursive: true, mode: 0o700 });
  const made = [
    await mkdir(layout.ingests, { recursive: true }),
    await mkdir(join(layout.blobs, "sha256"), { recursive: true }),
  ];
  if (made.some((path) => path !== undefined)) {
    await syncer.directory(layout.blobs);
    await syncer.directory(layout.root);
  }
  const lock = new StoreLock(layout.lock);
  try {
    await sweep({ layout, lock, syncer });
  } catch (error) {
    lock.close();
    throw error;
  }
  hashThread.enter();
  return new FsContentStore({ layout, lock, syncer, stall: new StallWatch(stallMs), thread: hashThread });
}
