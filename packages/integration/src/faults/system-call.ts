/** One system call of a process, as strace wrote it down. */
export interface SystemCall {
  readonly name: string;
  /** Who called, where several threads were traced. */
  readonly thread?: number | undefined;
  /** How many lines the process had written to its standard output, by the traced threads. */
  readonly said: number;
  /**
   * The files below the root of the store that it is about, relative to the root: `ingest/#/data`. Hashes are `#`, random
   * names `*`. None for what has nothing to do with the store.
   */
  readonly paths: readonly string[];
  /** The first of these files, relative to the root too, by its true name. */
  readonly file?: string | undefined;
  /** Whether it can change something below the root. */
  readonly changes: boolean;
  /** What strace wrote. */
  readonly line: string;
}

/** The calls by which processes change files. Those with a question mark are not everywhere. */
export const changingCalls: string = [
  "write,pwrite64,writev,pwritev,?pwritev2,copy_file_range,?sendfile,ftruncate,truncate,fallocate",
  "fsync,fdatasync,syncfs,sync_file_range",
  "?open,openat,?openat2,?creat,?mkdir,mkdirat,?mknod,mknodat,?link,linkat,?symlink,symlinkat",
  "?rename,?renameat,renameat2,?unlink,unlinkat,?rmdir",
  "?chmod,fchmod,fchmodat,?fchmodat2,?chown,fchown,?lchown,fchownat,utimensat,setxattr,lsetxattr,fsetxattr,?setxattrat",
  "?mount,?umount2,?move_mount,?mount_setattr",
].join(",");

/** Reads the log of `strace -y`, of one thread or several. */
export function callsIn(log: string, root: string): SystemCall[] {
  const calls: SystemCall[] = [];
  let said = 0;
  for (const line of log.split("\n")) {
    const match = /^(?:(\d+) +)?(\w+)\((.*)$/.exec(line);
    const [, thread, name = "", rest = ""] = match ?? [];
    // What comes behind the equals sign is what came of it.
    const asked = rest.replace(/\) += .*$/, "");
    if (match === null) continue;
    const files = filesIn(asked, root);
    const paths = files.map(normalised);
    const looksOnly = name.startsWith("open") && !/O_CREAT|O_TRUNC/.test(asked);
    // What is mounted is named by a descriptor, of which nobody can see where it is.
    const changes = (paths.length > 0 && !looksOnly) || /mount/.test(name);
    const [file] = files;
    calls.push({ name, paths, file, changes, line, said, thread: thread === undefined ? undefined : Number(thread) });
    if (name === "write" && asked.startsWith("1<")) said += 1;
  }
  return calls;
}

function filesIn(asked: string, root: string): string[] {
  // A name that does not begin with a slash is in the directory whose descriptor is in front of it.
  const whole = asked.replaceAll(/<([^<>]*)>, "([^"/][^"]*)"/g, '"$1/$2"');
  return [...whole.matchAll(/"([^"]*)"|<([^<>]*)>/g)]
    .map(([, quoted, descriptor]) => quoted ?? descriptor ?? "")
    .filter((path) => path === root || path.startsWith(`${root}/`))
    .map((path) => path.slice(root.length + 1));
}

function normalised(path: string): string {
  return path
    .replace(/ \(deleted\)$/, "")
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "*")
    .replaceAll(/\b[0-9a-f]{64,128}\b/g, "#");
}
