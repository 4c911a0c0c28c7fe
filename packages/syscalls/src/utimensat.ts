import { CodedError } from "@varve/errors";
import { UTIME_NOW, UTIME_OMIT } from "./constants.ts";
import { FIELDS, FIRST_PATH, kernel } from "./kernel.ts";
import type { PathLike } from "./path-like.ts";
import { check } from "./syscall-error.ts";

/** A moment to set. `nanoseconds` may be UTIME_NOW or UTIME_OMIT. */
export interface TimeToSet {
  readonly seconds: number | bigint;
  readonly nanoseconds: number;
}

/** The times to set; one that is absent stays as it is. */
export interface FileTimes {
  readonly atime?: TimeToSet | undefined;
  readonly mtime?: TimeToSet | undefined;
}

/** As `utimensat`, but a failure is the negative error number. */
export function tryUtimensat(dirfd: number, path: PathLike | null, times: FileTimes, flags: number): number {
  const k = kernel();
  const address = path === null ? 0 : k.path(path, FIRST_PATH);
  if (address < 0) return address;
  write(k.view, FIELDS, times.atime);
  write(k.view, FIELDS + 16, times.mtime);
  return k.call(k.numbers.utimensat, dirfd, address, k.at(FIELDS), flags);
}

/**
 * Sets times to the nanosecond. A `null` path means `dirfd` itself, which must then be open for real, not O_PATH;
 * for O_PATH give "" and AT_EMPTY_PATH. AT_SYMLINK_NOFOLLOW sets the times of a link.
 */
export function utimensat(dirfd: number, path: PathLike | null, times: FileTimes, flags: number): void {
  check(tryUtimensat(dirfd, path, times, flags), "utimensat", path ?? undefined);
}

function write(view: DataView, offset: number, time: TimeToSet | undefined): void {
  const seconds = time?.seconds ?? 0;
  const nanoseconds = time?.nanoseconds ?? UTIME_OMIT;
  const special = nanoseconds === UTIME_NOW || nanoseconds === UTIME_OMIT;
  if (!special && !(Number.isInteger(nanoseconds) && nanoseconds >= 0 && nanoseconds < 1_000_000_000)) {
    throw new CodedError("ERR_INVALID_ARGUMENT", `time: ${nanoseconds} nanoseconds: out of range`);
  }
  if (typeof seconds === "bigint") {
    view.setBigInt64(offset, seconds, true);
  } else {
    if (!Number.isSafeInteger(seconds)) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `time: ${seconds} seconds: not a whole number`);
    }
    view.setUint32(offset, seconds >>> 0, true);
    view.setInt32(offset + 4, Math.floor(seconds / 0x1_0000_0000), true);
  }
  view.setUint32(offset + 8, nanoseconds, true);
  view.setUint32(offset + 12, 0, true);
}
