import { execFileSync } from "node:child_process";
import { statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { describe, expect, it, test } from "vitest";
import { mountedDisk, whyNoDisk } from "./disk.ts";
import { copied, digest } from "./material.ts";
import { smallMounter } from "./small-mounter.ts";

/** By type, whether files can share blocks. */
const disks = { ext4: false, xfs: true, btrfs: true };

describe.each(Object.entries(disks))("on %s", (type, shares) => {
  const reason = whyNoDisk(type);
  describe.skipIf(reason !== undefined)(`a disk in a file (${reason ?? "privileged"})`, () => {
    const target = mountedDisk(type);

    describeSnapshotter("native", {
      describe,
      it,
      lacks: ["rebase"],
      mounter: smallMounter,
      open: (place) => openNativeSnapshotter({ root: join(target(), place), durability: "none" }),
    });

    // G-54
    test(`a copy ${shares ? "shares" : "does not share"} the blocks of its source`, async () => {
      await using snapshotter = await openNativeSnapshotter({ root: join(target(), "shared"), durability: "none" });
      const size = 32 << 20;
      let free = 0;
      const [from, to] = await copied(snapshotter, (directory) => {
        writeFileSync(join(directory, "file"), Buffer.alloc(size, "contents"), { flush: true });
        // With a hole, which copies other than a reflink write anew around.
        truncateSync(join(directory, "file"), 2 * size);
        execFileSync("sync", ["-f", target()]);
        free = statfsSync(target()).bavail;
      });
      execFileSync("sync", ["-f", target()]);
      const { bavail, bsize } = statfsSync(target());
      expect((free - bavail) * bsize < size / 2).toBe(shares);
      expect(digest(join(to, "file"))).toBe(digest(join(from, "file")));
    });
  });
});
