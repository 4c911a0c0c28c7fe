import { CodedError } from "@varve/errors";
import * as sys from "@varve/syscalls";
import { mustSucceed } from "./mount-error.ts";

/**
 * Opens what is to be shown elsewhere, as a place only. Links are not followed: whoever could put one on the way would
 * choose what is shown, and written to. (K21)
 *
 * @throws ERR_FAILED_PRECONDITION there is one
 */
function openSource(path: string, about: string, flags = 0): number {
  const result = sys.tryOpenat2(sys.AT_FDCWD, path, { flags: sys.O_PATH | flags, resolve: sys.RESOLVE_NO_SYMLINKS });
  if (result !== -sys.ELOOP) return mustSucceed(result, about, "openat2");
  throw new CodedError("ERR_FAILED_PRECONDITION", `${about}: a symbolic link is on the way to it`);
}

/** Opens a directory of an overlay; `key` is for messages. */
export function openDirectory(key: string, path: string): number {
  return openSource(path, `overlay: ${key.replace("+", "")} ${path}`, sys.O_DIRECTORY);
}

/** A copy of the mount that `path` lies on, with `path` as its root and not attached; with AT_RECURSIVE of all below, too. */
export function cloneOf(path: string, about: string, recursive = 0): number {
  const source = openSource(path, about);
  try {
    const flags = sys.OPEN_TREE_CLONE | sys.OPEN_TREE_CLOEXEC | sys.AT_EMPTY_PATH | recursive;
    return mustSucceed(sys.tryOpenTree(source, "", flags), about, "open_tree");
  } finally {
    sys.close(source);
  }
}
