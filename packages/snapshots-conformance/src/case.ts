import type { Mount } from "@varve/mount";
import type { Snapshotter } from "@varve/snapshots";

/**
 * What not every snapshotter, or not every test run, can do.
 *
 * - `mount`: the run has a `Mounter` and may use it.
 * - `bind`: a snapshot without a parent is one bind mount of a directory of its own, which keeps its path through the commit,
 *   and which a case may take away.
 * - `usage`: what is written shows in `usage`.
 * - `reopen`: a place can be opened again, also while it is open, and shows the same snapshots.
 * - `directory-rename`: a directory of a parent can be renamed in its child; overlayfs refuses this.
 * - `cleanup`, `check`, `rebase`, `layers`: it implements `Cleaner`, `Checker`, `Rebaser`, `LayerPreparer`.
 * - `check-changes`: a check sees that a file of a committed snapshot was written to, made, removed, renamed, or has got another
 *   mode or owner.
 * - `id-mapping`: it heeds the labels that say how its mounts show user and group ids.
 * - `id-mapped-mount`: the run can mount what comes of that.
 * - `device-nodes`: the run may make them.
 * - `xattrs`: the run can set and read extended attributes `user.*` of files.
 * - `committed-layer`, `staged-layer`: the run says which layer the `LayerPreparer` has in that state.
 */
export type SnapshotterNeed =
  | "mount"
  | "bind"
  | "usage"
  | "reopen"
  | "directory-rename"
  | "cleanup"
  | "check"
  | "check-changes"
  | "id-mapping"
  | "id-mapped-mount"
  | "device-nodes"
  | "xattrs"
  | "rebase"
  | "layers"
  | "committed-layer"
  | "staged-layer";

/** A layer, with none below it, that a `LayerPreparer` has without being given it. */
export interface KnownLayer {
  readonly target: string;
  /** What a request for it has to say besides. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The path of a file in it, for the cases that mount. */
  readonly file: string;
}

/** What a `LayerPreparer` has, by the state that `prepareLayer` gives it in. */
export interface KnownLayers {
  readonly committed?: KnownLayer | undefined;
  readonly staged?: KnownLayer | undefined;
}

/** What Node cannot do by itself. */
export interface ExtendedAttributes {
  readonly set: (path: string, name: string, value: string) => Promise<void> | void;
  /** `undefined`: the file has no such attribute. */
  readonly get: (path: string, name: string) => Promise<string | undefined> | string | undefined;
}

export interface CaseContext {
  /**
   * Opens the snapshotter of this case: empty the first time, the same place each further time. What was opened is closed
   * when the case ends.
   */
  readonly open: () => Promise<Snapshotter>;
  /** Mounts a list on a new directory, runs `body` with its path, and takes it off again. Only in cases that need `mount`. */
  readonly mounted: <T>(mounts: readonly Mount[], body: (root: string) => Promise<T>) => Promise<T>;
  /** Only in cases that need `committed-layer` or `staged-layer`. */
  readonly layers: KnownLayers;
  /** Only in cases that need `xattrs`. */
  readonly xattrs: ExtendedAttributes;
}

/** One promise of the contract. The name never changes: test reports and `lacks` lists of others rely on it. */
export interface SnapshotterCase {
  readonly name: string;
  /**
   * Ids of the rows of varve's specification that it tests, those of containerd's own suite among them (`C-…`).
   * `C-SN.W1` to `C-SN.W7` are those that containerd lists as wanted and not written, in its order.
   */
  readonly rows: readonly string[];
  readonly needs: readonly SnapshotterNeed[];
  /** Rejects with an AssertionError if the snapshotter breaks the promise. */
  run(context: CaseContext): Promise<void>;
}
