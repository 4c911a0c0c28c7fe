import type { ContentStore } from "@varve/content";
import type { Database } from "./database.ts";
import type { CollectibleResource } from "./gc/resource.ts";
import type { SnapshotBackends } from "./metadata.ts";

/** What every part of the metadata works on. */
export interface StoreContext {
  readonly database: Database;
  /** The store below: its refs are `namespace/ref`. */
  readonly content: ContentStore;
  readonly snapshotters: SnapshotBackends;
  readonly resources: readonly CollectibleResource[];
  readonly sharing: "shared" | "isolated";
}

/** What the stores of one namespace work on. */
export interface Scope {
  readonly context: StoreContext;
  readonly namespace: string;
  /** What is created is added to this lease. */
  readonly lease: string | undefined;
}
