import { release } from "node:os";
import { overlayDirectories } from "@varve/mount";
import { CodedError, hasCode } from "@varve/errors";
import type { Mount, OverlayDirectories } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { openDirectory } from "./source.ts";
import { createFilesystem, finish, setParameter, withFilesystem } from "./filesystem-context.ts";
import { mappedRoot, setMappedDirectories } from "./id-mapped-overlay.ts";
import type { SetDirectory } from "./id-mapped-overlay.ts";
import { createByString } from "./overlay-by-string.ts";
import { mustBeWritable } from "./overlay-writable.ts";
import { wantsReadOnly } from "./parsed-options.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/**
 * An overlay, not attached yet.
 *
 * @param userns holds the mappings of ids, if there are some
 */
export function createOverlay(mount: Mount, options: ParsedOptions, userns: number | undefined): number {
  const directories = overlayDirectories(mount);
  const fd = create(mount, options, directories, userns);
  try {
    if (!wantsReadOnly(options)) mustBeWritable(fd, directories);
    return fd;
  } catch (error) {
    sys.close(fd);
    throw error;
  }
}

function create(
  mount: Mount,
  options: ParsedOptions,
  directories: OverlayDirectories,
  userns: number | undefined,
): number {
  if (takesDescriptors()) return createByDescriptors(mount, options, directories, userns);
  if (userns === undefined) return createByString(mount, options, directories);
  throw notMapped();
}

/**
 * Each directory is handed over as an open descriptor, so there is no limit on the length of names, nothing to escape,
 * and one descriptor open at a time (with ids mapped, one for each directory). (U-MNT.5)
 */
function createByDescriptors(
  mount: Mount,
  options: ParsedOptions,
  directories: OverlayDirectories,
  userns: number | undefined,
): number {
  return withFilesystem("overlay", (context) => {
    const set: SetDirectory = (key, path, fd) => {
      setParameter(context, { key, fd }, `${key.replace("+", "")} ${path}`);
    };
    if (userns === undefined || options.ids === undefined) {
      setDirectories(directories, set);
      return finish(context, mount.source, options);
    }
    const opened = setMappedDirectories(directories, userns, set);
    try {
      const root = mappedRoot(options.ids);
      return finish(context, mount.source, options, () => sys.withFileSystemIds(root, () => createFilesystem(context)));
    } catch (error) {
      throw isTooOld(error) ? notMapped(error) : error;
    } finally {
      for (const fd of opened) sys.close(fd);
    }
  });
}

/** Before Linux 6.15 an overlay takes no directories of a mount that is not attached, and only says EINVAL. */
function isTooOld(error: unknown): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return hasCode(error, "ERR_INVALID_ARGUMENT") && (major < 6 || (major === 6 && minor < 15));
}

function notMapped(cause?: unknown): CodedError {
  const options = cause === undefined ? {} : { cause };
  return new CodedError("ERR_NOT_IMPLEMENTED", "overlay: mapping ids needs Linux 6.15 or later", options);
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

function setDirectories({ lower, data, upper, work }: OverlayDirectories, set: SetDirectory): void {
  const open = (key: string, path: string): void => {
    const fd = openDirectory(key, path);
    try {
      set(key, path, fd);
    } finally {
      sys.close(fd);
    }
  };
  for (const path of lower) open("lowerdir+", path);
  for (const path of data) open("datadir+", path);
  if (upper !== undefined) open("upperdir", upper);
  if (work !== undefined) open("workdir", work);
}
