import { randomBytes } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { CodedError } from "@varve/errors";
import type { OverlayDirectories } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { openDirectory } from "./source.ts";
import { mustSucceed } from "./mount-error.ts";

/**
 * When the kernel can make nothing in the work directory (EIO, ENOSPC), it mounts the overlay all the same, for reading
 * only, and says so in its log at most. Who has asked for a writable one is better told here. (P06)
 *
 * @param fd the overlay, not attached yet
 */
export function mustBeWritable(fd: number, { upper, work }: OverlayDirectories): void {
  if (upper === undefined || work === undefined || !isReadOnly(fd)) return;
  const about = `overlay: workdir ${work}`;
  const directory = openDirectory("workdir", work);
  try {
    // The same again, to learn why.
    const name = `varve-${randomBytes(6).toString("hex")}`;
    mustSucceed(sys.tryMkdirat(directory, name, 0o700), about, "mkdirat");
    sys.tryUnlinkat(directory, name, sys.AT_REMOVEDIR);
  } finally {
    sys.close(directory);
  }
  throw new CodedError(
    "ERR_FAILED_PRECONDITION",
    `${about}: the kernel could not use it, and mounted for reading only`,
  );
}

function isReadOnly(fd: number): boolean {
  try {
    accessSync(`/proc/self/fd/${fd}`, constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EROFS";
  }
}
