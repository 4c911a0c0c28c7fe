import { readFileSync, readlinkSync } from "node:fs";

/**
 * Names a process in a record that outlives it: `pid/start time/boot id/pid namespace`. A process id alone is used again
 * after a while, and after a reboot at once; with the rest the name is unique on one machine. The namespace is missing
 * in older names, and where there is no /proc.
 */
export type ProcessOwner = string;

const pattern = /^([1-9][0-9]{0,9})\/([0-9]*)\/([0-9a-f-]*)(?:\/([0-9]+))?$/;

let ours: ProcessOwner | undefined;

/** The name of this process. */
export function currentOwner(): ProcessOwner {
  ours ??= describeThisProcess();
  return ours;
}

/**
 * Whether the process that `owner` names is alive. Text that is no owner's name is dead; so is a zombie.
 * Where nobody can tell, a process counts as alive: waiting too long does less harm than two owners. So does one of
 * another pid namespace until the next boot, and one whose start time cannot be read (no /proc, or another user's
 * process under `hidepid`) while its id is in use. Throws what reading /proc throws, such as EMFILE.
 */
export function isOwnerAlive(owner: ProcessOwner): boolean {
  const match = pattern.exec(owner);
  if (match === null) return false;
  const [, pidText, startTime, boot, namespace] = match;
  const pid = Number(pidText);
  if (startTime === "") return exists(pid);
  const now = bootId();
  if (boot !== now && boot !== "" && now !== "") return false;
  if (namespace !== undefined && namespace !== pidNamespace()) return true;
  const stat = showsOurNamespace() ? statOf(pid) : undefined;
  if (stat?.startTime === undefined) return exists(pid);
  return stat.runs && stat.startTime === startTime;
}

/** The owner in letters that may stand in a file's name: digits, `a` to `f`, `-` and `_`. */
export function ownerToFileName(owner: ProcessOwner): string {
  return owner.replaceAll("/", "_");
}

/** The owner that `ownerToFileName` made the text of; undefined if it is of another form. */
export function ownerFromFileName(text: string): ProcessOwner | undefined {
  const owner = text.replaceAll("_", "/");
  return pattern.test(owner) && ownerToFileName(owner) === text ? owner : undefined;
}

function describeThisProcess(): ProcessOwner {
  const namespace = pidNamespace();
  const name = `${process.pid}/${statOf("self")?.startTime ?? ""}/${bootId()}`;
  return namespace === undefined ? name : `${name}/${namespace}`;
}

interface Stat {
  /**
   * False for a zombie: it holds nothing any more, and only waits for its parent to ask. While another of its threads is there, which may
   * be at its last system call yet, it is none.
   */
  readonly runs: boolean;
  /** In clock ticks since boot. */
  readonly startTime: string | undefined;
}

/** What /proc tells of a process, if it does (proc_pid_stat(5)). */
function statOf(pid: number | "self"): Stat | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields === undefined) return undefined;
  const [state = ""] = fields;
  return { runs: !"ZX".includes(state) || Number(fields[17]) > 1, startTime: fields[19] };
}

/** Empty where it cannot be read: then nobody can tell one boot from another. */
function bootId(): string {
  return readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

/** The number in `pid:[4026531836]`. */
function pidNamespace(): string | undefined {
  return linkIfThere("/proc/self/ns/pid")?.replaceAll(/[^0-9]/g, "");
}

/** A /proc mounted in another pid namespace shows other processes under our ids. */
function showsOurNamespace(): boolean {
  return linkIfThere("/proc/self") === String(process.pid);
}

function readIfThere(path: string): string | undefined {
  return ifThere(() => readFileSync(path, "utf8"));
}

function linkIfThere(path: string): string | undefined {
  return ifThere(() => readlinkSync(path));
}

function ifThere(read: () => string): string | undefined {
  try {
    return read();
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
