import { join } from "node:path";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";
import { describe, it } from "vitest";
import { whyNoFaults } from "../src/faults/missing.ts";
import { lacksOf } from "../src/lacks.ts";
import { mountedDisk } from "../src/mounted-disk.ts";
import { realMounts } from "../src/real-mounts.ts";

const missing = await whyNoFaults(["mkfs.ext4", "mkfs.xfs"]);

// xfs copies by reference, the others do not; tmpfs has neither blocks nor a disk.
describe.each(["ext4", "xfs", "tmpfs"] as const)("%s", (filesystem) => {
  describe.skipIf(missing !== undefined)(
    `under the real mounter (privileged${missing === undefined ? "" : `: ${missing}`})`,
    () => {
      const disk = mountedDisk(filesystem);

      describeSnapshotter("overlay", {
        describe,
        it,
        ...realMounts,
        lacks: lacksOf.overlay,
        open: (place) => openOverlaySnapshotter({ root: join(disk(), "overlay", place) }),
      });

      describeSnapshotter("native", {
        describe,
        it,
        ...realMounts,
        lacks: lacksOf.native,
        open: (place) => openNativeSnapshotter({ root: join(disk(), "native", place) }),
      });
    },
  );
});
