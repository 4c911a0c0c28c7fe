import { CodedError } from "@varve/errors";
import * as sys from "@varve/syscalls";
import { reconfigureFilesystem, setOptions, setParameter } from "./filesystem-context.ts";
import { mustSucceed } from "./mount-error.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/**
 * Changes what is mounted at `place`: with `bind` the attributes of that mount, without it the filesystem first, and with
 * it every other mount of the same filesystem. What no option names stays as it is.
 */
export function remount(place: number, options: ParsedOptions): void {
  if (sys.statx(place, "", 0).mountRoot === false) {
    throw new CodedError("ERR_FAILED_PRECONDITION", "remount: nothing is mounted there");
  }
  if (options.bind === "none") reconfigure(place, options);
  const recursive = options.bind === "tree" ? sys.AT_RECURSIVE : 0;
  if (options.set === 0 && options.clear === 0) return;
  const attributes = { set: options.set, clear: options.clear };
  const result = sys.tryMountSetattr(place, "", sys.AT_EMPTY_PATH | recursive, attributes);
  mustSucceed(result, "remount", "mount_setattr");
}

function reconfigure(place: number, options: ParsedOptions): void {
  const picked = sys.tryFspick(place, "", sys.FSPICK_CLOEXEC | sys.FSPICK_EMPTY_PATH);
  const context = { fd: mustSucceed(picked, "remount", "fspick"), type: "remount" };
  try {
    if (options.access !== undefined) setParameter(context, { key: options.access });
    setOptions(context, options);
    reconfigureFilesystem(context);
  } finally {
    sys.close(context.fd);
  }
}
