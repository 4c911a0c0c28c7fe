import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import { overlayDirectories, overlayOptions } from "@varve/mount";
import type { Mount, OverlayDirectories } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { finish, setParameter, withFilesystem } from "./filesystem-context.ts";
import type { FilesystemContext } from "./filesystem-context.ts";
import { mustSucceed } from "./mount-error.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/** What mount(2) takes as options: one page with the end mark. */
const DATA_BYTES = 4095;

/** An overlay, not attached yet. */
export function createOverlay(mount: Mount, options: ParsedOptions): number {
  const directories = overlayDirectories(mount);
  if (takesDescriptors()) return createByDescriptors(mount, options, directories);
  return createByString(mount, options, directories);
}

/**
 * Each directory is handed over as an open descriptor, so there is no limit on the length of names, nothing to escape,
 * and never more than one descriptor open. (U-MNT.5)
 */
function createByDescriptors(mount: Mount, options: ParsedOptions, directories: OverlayDirectories): number {
  return withFilesystem("overlay", (context) => {
    for (const path of directories.lower) setDirectory(context, "lowerdir+", path);
    for (const path of directories.data) setDirectory(context, "datadir+", path);
    if (directories.upper !== undefined) setDirectory(context, "upperdir", directories.upper);
    if (directories.work !== undefined) setDirectory(context, "workdir", directories.work);
    return finish(context, mount.source, options);
  });
}

let descriptorsTaken: boolean | undefined;

/** Whether the kernel's overlay takes directories by descriptor: Linux 6.13. */
function takesDescriptors(): boolean {
  descriptorsTaken ??= withFilesystem("overlay", (context) => {
    const fd = openDirectory("lowerdir+", "/");
    try {
      return sys.tryFsconfig(context.fd, { key: "lowerdir+", fd }) === 0;
    } finally {
      sys.close(fd);
    }
  });
  return descriptorsTaken;
}

function setDirectory(context: FilesystemContext, key: string, path: string): void {
  const fd = openDirectory(key, path);
  try {
    setParameter(context, { key, fd }, `${key.replace("+", "")} ${path}`);
  } finally {
    sys.close(fd);
  }
}

/**
 * For kernels before 6.13: one string for mount(2). Where it is longer than a page, the directories are opened and
 * named by their descriptors, which makes room for 200 of them whatever their names are. (The other way to shorten,
 * a changed working directory, would change it for the whole process.)
 */
export function createByString(mount: Mount, options: ParsedOptions, directories: OverlayDirectories): number {
  const data = [...options.parameters, ...overlayOptions(directories)].join(",");
  if (Buffer.byteLength(data) <= DATA_BYTES) return mountAside(mount, options, data);
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
    return mountAside(mount, options, [...options.parameters, ...overlayOptions(short)].join(","));
  } finally {
    for (const fd of opened) sys.close(fd);
  }
}

/** Mounts in a directory of our own, and takes a detached copy of that. */
function mountAside(mount: Mount, options: ParsedOptions, data: string): number {
  if (Buffer.byteLength(data) > DATA_BYTES) {
    const message = `overlay: options of ${Buffer.byteLength(data)} bytes: more than this kernel takes (${DATA_BYTES})`;
    throw new CodedError("ERR_NOT_IMPLEMENTED", message);
  }
  const aside = mkdtempSync(join(tmpdir(), "varve-overlay-"));
  try {
    const flags = options.readOnly ? sys.MS_RDONLY : 0;
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

function openDirectory(key: string, path: string): number {
  const result = sys.tryOpenat2(sys.AT_FDCWD, path, { flags: sys.O_PATH | sys.O_DIRECTORY });
  return mustSucceed(result, `overlay: ${key.replace("+", "")} ${path}`, "openat2");
}
