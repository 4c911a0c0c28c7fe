import { mkdtempSync, rmdirSync } from "node:fs";
import { CodedError } from "@varve/errors";
import { overlayOptions, temporaryMountPrefix } from "@varve/mount";
import type { Mount, OverlayDirectories } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { openDirectory } from "./source.ts";
import { mustSucceed } from "./mount-error.ts";
import { wantsReadOnly } from "./parsed-options.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/** What mount(2) takes as options: one page with the end mark. */
const DATA_BYTES = 4095;

/**
 * For kernels before 6.13: one string for mount(2). The directories are opened and named by their descriptors, so that no
 * link is followed, and there is room for 200 of them whatever their names are. (The other way to shorten, a changed
 * working directory, would change it for the whole process.)
 *
 * @throws ERR_NOT_IMPLEMENTED there are too many directories even so
 */
export function createByString(mount: Mount, options: ParsedOptions, directories: OverlayDirectories): number {
  const opened: number[] = [];
  try {
    const name = (key: string, path: string): string => {
      const fd = openDirectory(key, path);
      opened.push(fd);
      return `/proc/self/fd/${fd}`;
    };
    const short: OverlayDirectories = {
      lower: directories.lower.map((path) => name("lowerdir", path)),
      data: directories.data.map((path) => name("datadir", path)),
      upper: directories.upper === undefined ? undefined : name("upperdir", directories.upper),
      work: directories.work === undefined ? undefined : name("workdir", directories.work),
    };
    const data = [...options.parameters, ...overlayOptions(short)].join(",");
    mustFit(data, directories);
    return mountAside(mount, options, data);
  } finally {
    for (const fd of opened) sys.close(fd);
  }
}

function mustFit(data: string, { lower }: OverlayDirectories): void {
  const bytes = Buffer.byteLength(data);
  if (bytes <= DATA_BYTES) return;
  const message = `overlay: ${lower.length} lower directories: take ${bytes} bytes of options, and before Linux 6.13 there is room for ${DATA_BYTES}`;
  throw new CodedError("ERR_NOT_IMPLEMENTED", message);
}

/** Mounts in a directory of our own, and takes a detached copy of that. */
function mountAside(mount: Mount, options: ParsedOptions, data: string): number {
  const aside = mkdtempSync(temporaryMountPrefix());
  try {
    const flags = wantsReadOnly(options) ? sys.MS_RDONLY : 0;
    const result = sys.tryMount(aside, { type: "overlay", source: mount.source || "overlay", flags, data });
    mustSucceed(result, "filesystem overlay", "mount");
    try {
      const fd = mustSucceed(
        sys.tryOpenTree(sys.AT_FDCWD, aside, sys.OPEN_TREE_CLONE | sys.OPEN_TREE_CLOEXEC),
        "filesystem overlay",
        "open_tree",
      );
      return withAttributes(fd, options);
    } finally {
      sys.umount2(aside, sys.MNT_DETACH | sys.UMOUNT_NOFOLLOW);
    }
  } finally {
    rmdirSync(aside);
  }
}

function withAttributes(fd: number, options: ParsedOptions): number {
  const result = sys.tryMountSetattr(fd, "", sys.AT_EMPTY_PATH, { set: options.set, propagation: sys.MS_PRIVATE });
  if (result === 0) return fd;
  sys.close(fd);
  return mustSucceed(result, "filesystem overlay", "mount_setattr");
}
