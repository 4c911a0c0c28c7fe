import { join } from "node:path";
import { openBtrfsSnapshotter } from "@varve-examples/snapshotter-btrfs";
import { createLinuxMounter } from "@varve/mount-linux";
import { describeSnapshotter } from "@varve/snapshots-conformance";
import { afterAll, describe, expect, it, test } from "vitest";
import { makeDisk, obstacle } from "./disk.ts";

describe.skipIf(obstacle !== undefined)(`on btrfs${obstacle === undefined ? "" : ` (${obstacle})`}`, () => {
  const disk = obstacle === undefined ? makeDisk() : undefined;
  afterAll(() => disk?.[Symbol.dispose]());

  describeSnapshotter("btrfs", {
    describe,
    it,
    lacks: ["rebase", "check", "id-mapping"],
    mounter: createLinuxMounter(),
    open: (place) => openBtrfsSnapshotter({ root: join(disk?.path ?? "", place) }),
  });
});

test("another file system is refused", async () => {
  await expect(openBtrfsSnapshotter({ root: "/proc" })).rejects.toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
});
