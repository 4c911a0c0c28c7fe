import type { SnapshotterNeed } from "@varve/snapshots-conformance";

/** A snapshotter that the suite is run over here; `btrfs` is the example. */
export type Backend = "overlay" | "native" | "btrfs";

/** What each cannot do. */
export const lacksOf: Readonly<Record<Backend, readonly SnapshotterNeed[]>> = {
  // Without redirects, which are a risk, a directory from a layer below cannot be renamed.
  overlay: ["directory-rename"],
  native: ["rebase"],
  btrfs: ["rebase", "check", "id-mapping"],
};
