import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { afterAll, describe, it } from "vitest";
import { smallMounter } from "./small-mounter.ts";

const base = mkdtempSync(join(tmpdir(), "varve-overlay-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

describeSnapshotter("overlay", {
  describe,
  it,
  // Without redirects a rename of a directory from a layer below is EXDEV, which mv(1) and the like copy over.
  lacks: ["directory-rename"],
  // Mounting takes root; what needs it shows as skipped otherwise.
  mounter: process.geteuid?.() === 0 ? smallMounter : undefined,
  open: (place) => openOverlaySnapshotter({ root: join(base, place), durability: "none" }),
});
