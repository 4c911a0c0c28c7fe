import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { bash } from "@varve-tools/corpus";

/** `xfs` can share blocks between files; on `tmpfs` nothing is written back meanwhile. */
export type Filesystem = "ext4" | "tmpfs" | "xfs";

/** A place for one run's data. */
export interface Store extends AsyncDisposable {
  /** Makes it new and empty, with nothing left to write back, and tells where it is. Default: `ext4`. */
  fresh(filesystem?: Filesystem): Promise<string>;
  close(): Promise<void>;
}

const formats: Readonly<Record<Filesystem, string>> = {
  ext4: 'mkfs.ext4 -q -F -i 8192 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$1"; mount -o noinit_itable "$1" "$2"',
  tmpfs: 'mount -t tmpfs -o mode=755 none "$2"',
  xfs: 'mkfs.xfs -q -f -K -m reflink=1 "$1"; mount "$1" "$2"',
};

/**
 * A new file system on a loop device for each run: to delete the last run's tree right before the next one distorts that one, as
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
  const close = async (): Promise<void> => {
    await unmount();
    await bash('losetup -d "$1"', [device]);
    await rm(disk);
  };
  return {
    async fresh(filesystem = "ext4") {
      await unmount();
      await bash(`${formats[filesystem]}; sync; sleep 0.3`, [device, target]);
      return target;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
