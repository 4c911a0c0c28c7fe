import type { ContentStore } from "@varve/content";

/**
 * What not every store can do. `follow`: it implements `Follower`; `labels`: it implements `Labeler`;
 * `reopen`: a place can be opened again, also while it is open, and shows the same blobs and ingests.
 */
export type ContentStoreNeed = "follow" | "labels" | "reopen";

export interface CaseContext {
  /**
   * Opens the store of this case: empty the first time, the same place each further time. What was opened is closed when
   * the case ends.
   */
  readonly open: () => Promise<ContentStore>;
}

/** One promise of the contract. The name never changes: test reports and `lacks` lists of others rely on it. */
export interface ContentStoreCase {
  readonly name: string;
  readonly needs: readonly ContentStoreNeed[];
  /** Rejects with an AssertionError if the store breaks the promise. */
  run(context: CaseContext): Promise<void>;
}
