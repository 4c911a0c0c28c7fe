import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import { splitMountOptions, temporaryMountPrefix } from "@varve/mount";
import type { Mount } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { mustSucceed } from "./mount-error.ts";
import { mustStart } from "./must-start.ts";
import { isForKernel } from "./option-table.ts";
import type { ParsedOptions } from "./parsed-options.ts";

const ATTEMPTS = 10;
const PAUSE_MS = 100;
/** How long the end of a failed program's words is waited for: what it has started may hold the pipe as long as it runs. */
const LAST_WORDS_MS = 1000;

/** Whether a program has to mount the type: `fuse.sshfs`, `fuse3.sshfs`. */
export function needsFuseHelper(type: string): boolean {
  return /^fuse3?\../.test(type);
}

/**
 * Lets `mount.fuse` or `mount.fuse3` mount in a directory of our own, and takes a detached copy of that, so that the
 * program never touches the target. (U-MNT.7)
 *
 * @throws ERR_NOT_IMPLEMENTED the program is not installed
 * @throws ERR_UNAVAILABLE it failed; the message has its words
 */
export async function mountByFuseHelper(
  mount: Mount,
  { set, clear }: ParsedOptions,
  signal: AbortSignal | undefined,
): Promise<number> {
  const about = `mount type ${mount.type}`;
  const aside = mkdtempSync(temporaryMountPrefix());
  try {
    await runUntilMounted(mount, aside, signal);
    const flags = sys.OPEN_TREE_CLONE | sys.OPEN_TREE_CLOEXEC;
    const fd = mustSucceed(sys.tryOpenTree(sys.AT_FDCWD, aside, flags), about, "open_tree");
    // Whatever the program makes of `ro` and the like; and as with every other mount, what is done in it is not to spread.
    const result = sys.tryMountSetattr(fd, "", sys.AT_EMPTY_PATH, { set, clear, propagation: sys.MS_PRIVATE });
    if (result === 0) return fd;
    sys.close(fd);
    return mustSucceed(result, about, "mount_setattr");
  } finally {
    sys.tryUmount2(aside, sys.MNT_DETACH | sys.UMOUNT_NOFOLLOW);
    rmdirSync(aside);
  }
}

async function runUntilMounted(mount: Mount, aside: string, signal: AbortSignal | undefined): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    const failure = await run(mount, aside, signal);
    if (isMounted(aside)) return;
    signal?.throwIfAborted();
    const about = `mount type ${mount.type}: ${programOf(mount.type)}`;
    if (failure === undefined)
      throw new CodedError("ERR_UNAVAILABLE", `${about}: ended without an error and mounted nothing`);
    // Somebody else has waited for a child of the helper (ECHILD), which tells nothing about the mount.
    const passes = failure.includes("No child processes");
    if (!passes || attempt === ATTEMPTS)
      throw new CodedError("ERR_UNAVAILABLE", `${about}: ${sys.printablePath(failure)}`);
    await sleep(PAUSE_MS);
  }
}

/** What the program said when it failed, or undefined. */
async function run(mount: Mount, aside: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const options = splitMountOptions(mount.options).filter((option) => isForKernel(option));
  const parameters = [mount.source, aside, ...options.flatMap((option) => ["-o", option]), "-t", subtypeOf(mount.type)];
  const child = spawn(programOf(mount.type), parameters, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, LC_ALL: "C", PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin` },
  });
  await mustStart(child, `mount type ${mount.type}`, programOf(mount.type));
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = `${said}${text}`.slice(0, 4096)));
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const end = (): boolean => child.kill("SIGKILL");
  signal?.addEventListener("abort", end);
  if (signal?.aborted === true) end();
  try {
    await once(child, "exit");
    // What it says is not waited for after a success: the filesystem's own process may hold the pipe as long as it runs.
    if (child.exitCode === 0) return undefined;
    await Promise.race([closed, sleep(LAST_WORDS_MS, undefined, { ref: false })]);
    return said.trim() || `ended with ${child.exitCode ?? child.signalCode}`;
  } finally {
    signal?.removeEventListener("abort", end);
    child.stderr.destroy();
  }
}

function isMounted(aside: string): boolean {
  const stat = sys.tryStatx(sys.AT_FDCWD, aside, sys.AT_SYMLINK_NOFOLLOW);
  // The root of a FUSE mount may be closed even to us.
  return typeof stat === "number" || stat.mountRoot === true;
}

function programOf(type: string): string {
  return `mount.${type.slice(0, type.indexOf("."))}`;
}

function subtypeOf(type: string): string {
  return type.slice(type.indexOf(".") + 1);
}
