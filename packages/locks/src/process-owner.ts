import { readFileSync } from "node:fs";

/**
 * Names a process in a record that outlives it: `pid/start time/boot id`. A process id alone is used again after a while,
 * and after a reboot at once; with the time the process was started and the boot, the name is unique on one machine.
 * Processes in different pid namespaces must not share a store: one cannot see whether the other lives.
 */
export type ProcessOwner = string;

let ours: ProcessOwner | undefined;

/** The name of this process. */
export function currentOwner(): ProcessOwner {
  ours ??= `${process.pid}/${statOf(process.pid)?.startTime ?? ""}/${bootId()}`;
  return ours;
}

/**
 * Whether the process that `owner` names is alive. Text that is no owner's name is dead; so is a zombie.
 * Where start times cannot be read (no /proc, or another user's process under `hidepid`) a process with that id counts
 * as alive: waiting too long does less harm than two owners. Throws what reading /proc throws, such as EMFILE.
 */
export function isOwnerAlive(owner: ProcessOwner): boolean {
  const match = /^([1-9][0-9]{0,9})\/([0-9]*)\/([0-9a-f-]*)$/.exec(owner);
  if (match === null) return false;
  const [, pidText, startTime, boot] = match;
  const pid = Number(pidText);
  if (startTime === "") return exists(pid);
  if (boot !== bootId()) return false;
  const stat = statOf(pid);
  return stat === undefined ? exists(pid) : stat.runs && stat.startTime === startTime;
}

interface Stat {
  /** False for a zombie: it holds nothing any more, and only waits for its parent to ask. */
  readonly runs: boolean;
  /** In clock ticks since boot. */
  readonly startTime: string | undefined;
}

/** What /proc tells of a process, if it does (proc_pid_stat(5)). */
function statOf(pid: number): Stat | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields && { runs: fields[0] !== "Z" && fields[0] !== "X", startTime: fields[19] };
}

function bootId(): string {
  return readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // ESRCH: it ended between open and read. EPERM: hidepid=1. Anything else, EMFILE say, tells nothing about life.
    if (["ENOENT", "ENOTDIR", "ESRCH", "EPERM", "EACCES"].includes(codeOf(error))) return undefined;
    throw error;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
