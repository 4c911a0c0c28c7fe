import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { afterAll, describe, it } from "vitest";
import { smallMounter } from "./small-mounter.ts";

const base = mkdtempSync(join(tmpdir(), "varve-native-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

describeSnapshotter("native", {
  describe,
  it,
  // Mounting takes root; what needs it shows as skipped otherwise.
  lacks: ["rebase"],
  mounter: process.geteuid?.() === 0 ? smallMounter : undefined,
  open: (place) => openNativeSnapshotter({ root: join(base, place), durability: "none" }),
});
