// The suite of snapshotters under the runner of Node: `node --test SUITE`, with VARVE_BACKEND and VARVE_DIRECTORY.
import { describe, it } from "node:test";
import { join } from "node:path";
import { openBtrfsSnapshotter } from "@varve-examples/snapshotter-btrfs";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { lacksOf } from "./lacks.ts";
import type { Backend } from "./lacks.ts";
import { realMounts } from "./real-mounts.ts";

const backend = process.env["VARVE_BACKEND"] as Backend;
const directory = process.env["VARVE_DIRECTORY"] ?? "";

const open = { overlay: openOverlaySnapshotter, native: openNativeSnapshotter, btrfs: openBtrfsSnapshotter }[backend];

describeSnapshotter(backend, {
  describe,
  it,
  ...realMounts,
  lacks: lacksOf[backend],
  open: (place) => open({ root: join(directory, place), durability: "none" }),
});
