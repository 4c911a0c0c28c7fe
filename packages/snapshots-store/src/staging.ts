import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";

// A directory that is being filled says in its name who fills it: `new-<boot>-<pid namespace>-<pid>-<start time>-<random>`.
const pattern = /^new-([0-9a-f]+)-([0-9]+)-([0-9]+)-([0-9]+)-[0-9a-f]+$/;

/** Starts the names of directories that are being made. */
export const stagingPrefix = "new-";
/** Starts the names of directories that nobody needs any more. */
export const trashPrefix = "rm-";

/** A name for a directory that this process is about to make. */
export function stagingName(): string {
  return `${stagingPrefix}${here().owner}-${randomName()}`;
}

/** A name for a directory on its way out, which tells what its name was in the root, if it was one of a snapshot. */
export function trashName(original = ""): string {
  return /^[0-9]+$/.test(original) ? `${trashPrefix}${original}-${randomName()}` : trashPrefix + randomName();
}

/** The name under which mounts may know a directory; its own if that was never another. */
export function originalName(name: string): string {
  return /^rm-([0-9]+)-/.exec(name)?.[1] ?? name;
}

/**
 * Whether nobody works on the directory of that name any more.
 *
 * Of a process in another pid namespace nobody here can tell whether it lives; what it left goes after the next boot.
 */
export function isAbandoned(name: string): boolean {
  const match = pattern.exec(name);
  if (match === null) return true;
  const [, boot, namespace, pid, start] = match;
  const current = here();
  if (boot !== current.boot) return true;
  if (namespace !== current.namespace) return false;
  // The start time tells a process from a later one with its number.
  return startTime(pid ?? "") !== start;
}

interface Here {
  readonly boot: string;
  readonly namespace: string;
  readonly owner: string;
}

let known: Here | undefined;

/** Does not change while this process lives. */
function here(): Here {
  if (known !== undefined) return known;
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").slice(0, 8);
  const namespace = readlinkSync("/proc/self/ns/pid").replaceAll(/[^0-9]/g, "");
  known = { boot, namespace, owner: `${boot}-${namespace}-${process.pid}-${startTime("self") ?? "0"}` };
  return known;
}

/** In ticks since the boot, field 22 of proc_pid_stat(5). The name in field 2 may hold anything, so count from its end. */
function startTime(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function randomName(): string {
  return randomBytes(8).toString("hex");
}
