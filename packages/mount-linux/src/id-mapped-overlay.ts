import { readlinkSync } from "node:fs";
import { dirname, relative } from "node:path";
import { CodedError } from "@varve/errors";
import type { OverlayDirectories } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { openDirectory } from "./source.ts";
import { cloneMapped } from "./id-mapped.ts";
import { mustSucceed } from "./mount-error.ts";
import type { IdMappings } from "./parsed-options.ts";

/** Hands a directory to the overlay by its descriptor. */
export type SetDirectory = (key: string, path: string, fd: number) => void;

/**
 * Gives an overlay its directories through mounts that map ids, so that the overlay shows the ids of the host and the
 * disk keeps those of the image, in what is written too. (U-OVL.11, U-MNT.6)
 *
 * @returns the descriptors that keep these mounts alive, to be closed when the overlay is made
 */
export function setMappedDirectories(
  directories: OverlayDirectories,
  userns: number,
  set: SetDirectory,
): readonly number[] {
  const { lower, data, upper, work } = directories;
  const opened: number[] = [];
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  try {
    for (const path of lower) set("lowerdir+", path, keep(cloneMapped(path, userns, `overlay: lowerdir ${path}`)));
    for (const path of data) set("datadir+", path, keep(cloneMapped(path, userns, `overlay: datadir ${path}`)));
    if (upper === undefined || work === undefined) return opened;
    const real = [realDirectory("upperdir", upper), realDirectory("workdir", work)] as const;
    // An overlay's upper and work directory must lie on one mount, so they are opened through one copy.
    const common = commonDirectory(real[0].path, real[1].path);
    const clone = keep(cloneMapped(common, userns, real[0].about));
    set("upperdir", upper, keep(openBelow(clone, common, real[0])));
    set("workdir", work, keep(openBelow(clone, common, real[1])));
    return opened;
  } catch (error) {
    for (const fd of opened) sys.close(fd);
    throw error;
  }
}

/**
 * The user and group the kernel has to do an overlay's own work as: with those of this process, which no id on the disk
 * stands for, it could make no file and would silently mount for reading only.
 */
export function mappedRoot(ids: IdMappings): { readonly uid: number; readonly gid: number } {
  return { uid: hostOfRoot(ids.uid), gid: hostOfRoot(ids.gid) };
}

function hostOfRoot(mappings: IdMappings["uid"]): number {
  const { host = 0 } = mappings.find(({ container }) => container === 0) ?? mappings[0] ?? {};
  return host;
}

interface RealDirectory {
  /** For messages. */
  readonly about: string;
  /** Without links. */
  readonly path: string;
  readonly dev: number;
  readonly ino: bigint;
}

function realDirectory(key: string, path: string): RealDirectory {
  const fd = openDirectory(key, path);
  try {
    const { dev, ino } = sys.statx(fd, "", 0);
    return { about: `overlay: ${key} ${path}`, path: readlinkSync(`/proc/self/fd/${fd}`), dev, ino };
  } finally {
    sys.close(fd);
  }
}

function commonDirectory(a: string, b: string): string {
  let common = a;
  while (common !== "/" && b !== common && !b.startsWith(`${common}/`)) common = dirname(common);
  return common;
}

function openBelow(clone: number, common: string, { about, path, dev, ino }: RealDirectory): number {
  const resolve = sys.RESOLVE_BENEATH | sys.RESOLVE_NO_SYMLINKS | sys.RESOLVE_NO_XDEV;
  const how = { flags: sys.O_PATH | sys.O_DIRECTORY, resolve };
  const fd = mustSucceed(sys.tryOpenat2(clone, relative(common, path) || ".", how), about, "openat2");
  const found = sys.statx(fd, "", 0);
  if (found.dev === dev && found.ino === ino) return fd;
  sys.close(fd);
  // Not part of the copy, because it is a mount of its own, or replaced by another since we looked.
  throw new CodedError("ERR_FAILED_PRECONDITION", `${about}: not on one mount with the other directory`);
}
