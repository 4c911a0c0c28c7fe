import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { bash } from "@varve-tools/corpus";

/** A place for one run's data. */
export interface Store {
  /** Makes it new and empty, with nothing left to write back, and tells where it is. */
  fresh(): Promise<string>;
  close(): Promise<void>;
}

/**
 * A new ext4 on a loop device for each run: to delete the last run's tree right before the next one distorts that one, as
 * ext4 looks at inodes that were freed lately again and again.
 */
export async function openStore(directory: string, gigabytes: number): Promise<Store> {
  const disk = join(directory, "disk.img");
  const target = join(directory, "store");
  await mkdir(target, { recursive: true });
  const { stdout } = await bash(`fallocate -l "$2"G "$1" && losetup -f --show --direct-io=on "$1"`, [
    disk,
    String(gigabytes),
  ]);
  const device = stdout.trim();
  const unmount = (): Promise<unknown> => bash('if mountpoint -q "$1"; then umount -R "$1"; fi', [target]);
  return {
    async fresh() {
      await unmount();
      const format = 'mkfs.ext4 -q -F -i 8192 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$1"';
      await bash(`${format}; mount -o noinit_itable "$1" "$2"; sync; sleep 0.3`, [device, target]);
      return target;
    },
    async close() {
      await unmount();
      await bash('losetup -d "$1"', [device]);
      await rm(disk);
    },
  };
}
