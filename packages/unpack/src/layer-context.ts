import type { Follower, Provider } from "@varve/content";
import type { Applier, StagingApplier } from "@varve/diff";
import type { OnProgress } from "@varve/images";
import type { KeyedLock, Limiter } from "@varve/locks";
import type { Rebaser } from "@varve/snapshots";
import type { Download } from "./download.ts";
import type { ExtractionContext } from "./extraction.ts";

/** What it takes to write a layer before the layers below it are there. */
export interface Staging {
  readonly applier: StagingApplier;
  readonly rebaser: Rebaser;
}

/** What one layer is unpacked with. */
export interface LayerContext extends ExtractionContext {
  /** Ends the work on this one layer. */
  readonly signal: AbortSignal;
  readonly snapshotterName: string;
  readonly applier: Applier;
  readonly chainLocks: KeyedLock;
  readonly limiter: Limiter;
  /** Of the limiter: the layers of one image. */
  readonly group: unknown;
  /** The layer's blob on its way; begins it if it has not been. */
  readonly download: () => Download;
  /** Where the layer is when it is stored. */
  readonly content: Provider;
  /** Absent: the layer is applied when it is in the store. */
  readonly follower?: Follower | undefined;
  /** Absent: the layer is applied on top of its parent. */
  readonly staging?: Staging | undefined;
  readonly onProgress?: OnProgress | undefined;
}
