import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeContentStore } from "@varve/content-conformance";
import { openContentStore } from "@varve/content-fs";
import { openMetadata } from "@varve/metadata";
import type { Metadata } from "@varve/metadata";
import { createLinuxMounter } from "@varve/mount-linux";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { afterAll, describe, it } from "vitest";
import { environment } from "../src/images-under-test.ts";

const base = mkdtempSync(join(tmpdir(), "varve-pairs-"));
const databases: Metadata[] = [];
afterAll(async () => {
  await Promise.all(databases.map((database) => database.close()));
  rmSync(base, { recursive: true, force: true });
});

describeContentStore("metadata over content-fs (C-MD.1)", {
  describe,
  it,
  open: async (place) => {
    const root = join(base, place);
    const content = await openContentStore({ root: join(root, "content") });
    const metadata = await openMetadata({ path: join(root, "metadata.db"), content });
    databases.push(metadata);
    return metadata.content;
  },
});

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
