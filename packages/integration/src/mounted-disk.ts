import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "@varve-tools/corpus";
import { afterAll, beforeAll } from "vitest";
import { makeImage, mountImage, unmount } from "./faults/disk-image.ts";

/** An empty file system of its own for the tests around; gives its path while they run. */
export function mountedDisk(filesystem: "ext4" | "xfs" | "tmpfs"): () => string {
  let base = "";
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), `varve-${filesystem}-`));
    if (filesystem === "tmpfs") {
      await exec("mount", ["-t", "tmpfs", "-o", "size=512m", "none", base]);
      return;
    }
    const image = `${base}.img`;
    await makeImage(image, filesystem, 512);
    await mountImage(image, base);
    // It stays until it is unmounted.
    await rm(image);
  });
  afterAll(async () => {
    await unmount(base);
    await rm(base, { recursive: true });
  });
  return () => base;
}
