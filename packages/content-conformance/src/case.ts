import type { ContentStore } from "@varve/content";

/**
 * What not every store can do. `follow`: it implements `Follower`; `labels`: it implements `Labeler`;
 * `quarantine`: it implements `Quarantiner`; `reopen`: a place can be opened again, also while it is open, and shows the
 * same blobs and ingests; `takeover`: a writer that makes no progress for a settable time loses its ref to the next.
 */
export type ContentStoreNeed = "follow" | "labels" | "quarantine" | "reopen" | "takeover";

export interface OpenOptions {
  /**
   * A writer without progress for so many milliseconds can lose its ref. Given only by cases that need `takeover`; without
   * it the time must be one that no case comes near, such as a minute.
   */
  readonly stallMs?: number | undefined;
}

export interface CaseContext {
  /**
   * Opens the store of this case: empty the first time, the same place each further time. What was opened is closed when
   * the case ends.
   */
  readonly open: (options?: OpenOptions) => Promise<ContentStore>;
}

/** One promise of the contract. The name never changes: test reports and `lacks` lists of others rely on it. */
export interface ContentStoreCase {
  readonly name: string;
  /** Ids of the rows of varve's specification that it tests, those of containerd's own suite among them (`C-…`). */
  readonly rows: readonly string[];
  readonly needs: readonly ContentStoreNeed[];
  /** Rejects with an AssertionError if the store breaks the promise. */
  run(context: CaseContext): Promise<void>;
}
