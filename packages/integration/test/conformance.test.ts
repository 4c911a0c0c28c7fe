import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLinuxMounter } from "@varve/mount-linux";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { afterAll, describe, it } from "vitest";
import { environment } from "../src/images-under-test.ts";

const base = mkdtempSync(join(tmpdir(), "varve-pairs-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const mounter = environment.missing === undefined ? createLinuxMounter() : undefined;

describeSnapshotter("overlay under the real mounter", {
  describe,
  it,
  mounter,
  open: (place) => openOverlaySnapshotter({ root: join(base, "overlay", place), durability: "none" }),
});

describeSnapshotter("native under the real mounter", {
  describe,
  it,
  mounter,
  lacks: ["rebase"],
  open: (place) => openNativeSnapshotter({ root: join(base, "native", place), durability: "none" }),
});
