import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { afterAll, describe, it } from "vitest";
import { mountedDisk } from "./disk.ts";
import { smallMounter } from "./small-mounter.ts";

const root = process.geteuid?.() === 0;
const base = mkdtempSync(join(tmpdir(), "varve-native-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

describeSnapshotter("native", {
  describe,
  it,
  lacks: ["rebase"],
  // Mounting takes root; what needs it shows as skipped otherwise.
  mounter: root ? smallMounter : undefined,
  open: (place) => openNativeSnapshotter({ root: join(base, place), durability: "none" }),
});

describe.skipIf(!root)("on tmpfs (needs root)", () => {
  const target = mountedDisk("tmpfs");
  describeSnapshotter("native", {
    describe,
    it,
    lacks: ["rebase"],
    mounter: smallMounter,
    open: (place) => openNativeSnapshotter({ root: join(target(), place), durability: "none" }),
  });
});
