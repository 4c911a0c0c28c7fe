import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeImage, mountImage, unmount } from "./faults/disk-image.ts";

/** MiB; the image is sparse. */
const size = 16 * 1024;

/**
 * Moves the directory for temporary files onto a new ext4 of its own, for this process and those it starts. On a disk on which
 * many trees were removed before, ext4 takes several times longer to make the next one.
 *
 * @returns what takes it away again
 */
export async function useScratchDisk(): Promise<() => Promise<void>> {
  const before = process.env["TMPDIR"];
  const base = await mkdtemp(join(tmpdir(), "varve-scratch-"));
  const image = `${base}.img`;
  await makeImage(image, "ext4", size);
  await mountImage(image, base);
  // It stays until it is unmounted.
  await rm(image);
  process.env["TMPDIR"] = base;
  return async () => {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    await unmount(base);
    await rm(base, { recursive: true });
  };
}
