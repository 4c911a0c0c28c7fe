import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openContentStore } from "@varve/content-fs";
import { openMetadata } from "@varve/metadata";
import type { Namespace } from "@varve/metadata";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { afterAll, describe, it } from "vitest";
import { lacksOf } from "../src/lacks.ts";
import { realMounts } from "../src/real-mounts.ts";

type Backend = Awaited<ReturnType<typeof openNativeSnapshotter>>;
type Opener = (options: { readonly root: string; readonly durability: "none" }) => Promise<Backend>;
type View = ReturnType<Namespace["snapshotter"]>;

const base = mkdtempSync(join(tmpdir(), "varve-views-"));
const opened: AsyncDisposable[] = [];
afterAll(async () => {
  // The last opened first: a view before what it is a view of.
  for (const one of opened.toReversed()) await one[Symbol.asyncDispose]();
  rmSync(base, { recursive: true, force: true });
});

/** Opens the view of a namespace over a snapshotter, both in the directory of the place. */
function viewOver(open: Opener): (place: string) => View {
  return async (place) => {
    const root = join(base, open.name, place);
    const content = await openContentStore({ root: join(root, "content") });
    const below = await open({ root: join(root, "snapshots"), durability: "none" });
    const snapshotters = { used: async () => ["below"], get: async () => below };
    const metadata = await openMetadata({
      path: join(root, "metadata.db"),
      content,
      snapshotters,
      durability: "none",
    });
    opened.push(content, below, metadata);
    return metadata.namespace("default").snapshotter("below");
  };
}

const mounts = process.geteuid?.() === 0 ? realMounts : {};

// C-MD.6
describeSnapshotter("metadata over overlay (C-MD.6)", {
  describe,
  it,
  ...mounts,
  lacks: lacksOf.overlay,
  open: viewOver(openOverlaySnapshotter),
});

describeSnapshotter("metadata over native (C-MD.6)", {
  describe,
  it,
  ...mounts,
  lacks: lacksOf.native,
  open: viewOver(openNativeSnapshotter),
});
