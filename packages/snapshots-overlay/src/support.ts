import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import { withScratchDirectory } from "@varve/snapshots-store";
import {
  AT_FDCWD,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  close,
  fsconfig,
  fsconfigCreate,
  fsmount,
  fsopen,
  getdents64,
  inUserNamespace,
  isSupported,
  lsetxattr,
  openat2,
} from "@varve/syscalls";
import { commonOptions } from "./common-options.ts";
import { probeOverlay } from "./features.ts";

/**
 * Tries an overlay of directories in `root`, which is made if it is missing. It is mounted nowhere, so nobody sees it.
 *
 * @throws ERR_NOT_IMPLEMENTED overlay snapshots cannot work there; the message says why
 */
export async function checkOverlaySupport(root: string): Promise<void> {
  if (!isSupported()) throw unsupported(root, "this needs Linux and the package koffi");
  await mkdir(root, { recursive: true, mode: 0o700 });
  await withScratchDirectory(root, async (directory) => {
    for (const name of ["lower", "upper", "work"]) mkdirSync(join(directory, name));
    writeFileSync(join(directory, "lower", "file"), "");
    mustTellTypes(root, join(directory, "lower"));
    mustKeepAttributes(root, join(directory, "upper"));
    mustMount(root, directory);
  });
}

function mustTellTypes(root: string, lower: string): void {
  const fd = openat2(AT_FDCWD, lower, { flags: O_RDONLY | O_DIRECTORY });
  try {
    if (getdents64(fd).every((entry) => entry.type !== 0)) return;
  } finally {
    close(fd);
  }
  throw unsupported(root, "the filesystem does not tell file types in directories (xfs needs ftype=1)");
}

function mustKeepAttributes(root: string, upper: string): void {
  const name = inUserNamespace() ? "user.overlay.probe" : "trusted.overlay.probe";
  try {
    lsetxattr(upper, name, Buffer.from("y"), 0);
  } catch (cause) {
    throw unsupported(root, `the extended attribute ${name} cannot be set`, cause);
  }
}

function mustMount(root: string, directory: string): void {
  // A value of fsconfig(2) is short, so the paths go through a descriptor.
  const at = openSync(directory, O_RDONLY | O_DIRECTORY);
  const path = (name: string): string => `/proc/self/fd/${at}/${name}`;
  let context = -1;
  try {
    context = fsopen("overlay", FSOPEN_CLOEXEC);
    for (const name of ["lower", "upper", "work"]) fsconfig(context, { key: `${name}dir`, value: path(name) });
    for (const option of commonOptions(probeOverlay())) {
      const [key = "", value] = option.split("=");
      fsconfig(context, value === undefined ? { key } : { key, value });
    }
    fsconfigCreate(context);
    close(fsmount(context, FSMOUNT_CLOEXEC, 0));
  } catch (cause) {
    throw unsupported(root, reasonOf(cause), cause);
  } finally {
    if (context >= 0) close(context);
    closeSync(at);
  }
}

const reasons: Readonly<Record<string, string>> = {
  EPERM: "this process may not mount (it is not root, or lacks CAP_SYS_ADMIN)",
  EACCES: "this process may not mount",
  ENODEV: "the kernel has no overlay filesystem",
  EINVAL: "the filesystem cannot be the upper layer of an overlay (it may be an overlay itself)",
};

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return reasons[code] ?? "the kernel refuses an overlay there";
}

function unsupported(root: string, reason: string, cause?: unknown): CodedError {
  const message = `overlay snapshots in ${root}: not possible: ${reason}`;
  return new CodedError("ERR_NOT_IMPLEMENTED", message, cause === undefined ? {} : { cause });
}
