import { type FileStat, makedev, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "@varve/syscalls";

const form =
  /^([0-9]{1,10}):([0-9]{1,10}):([0-7]{1,6})(?::(file|dir|pipe|socket|(char|block)-([0-9]{1,4})-([0-9]{1,7})))?$/;
const kinds: ReadonlyMap<string | undefined, number> = new Map([
  ["file", S_IFREG],
  ["dir", S_IFDIR],
  ["pipe", S_IFIFO],
  ["socket", S_IFSOCK],
  ["char", S_IFCHR],
  ["block", S_IFBLK],
]);

/** Whether a file can have a record: the kernel has no attributes of users on anything else. */
export function canHaveRecord({ mode }: FileStat): boolean {
  return (mode & S_IFMT) === S_IFREG || (mode & S_IFMT) === S_IFDIR;
}

/**
 * What a file is meant to be by its record (see `formatRecord`), or `undefined` if that makes no sense. What has none belongs to root:
 * links, and what was made later by the caller, who is root there.
 */
export function recordedStat(stat: FileStat, record: Buffer | undefined): FileStat | undefined {
  if (record === undefined) return { ...stat, uid: 0, gid: 0 };
  const match = form.exec(record.toString("latin1"));
  if (match === null) return undefined;
  const [uid, gid] = [Number(match[1]), Number(match[2])];
  const bits = Number.parseInt(match[3] ?? "", 8);
  const kind = stat.mode & S_IFMT;
  const type = kinds.get(match[5] ?? match[4]) ?? kind;
  const [high, low] = [Number(match[6] ?? 0), Number(match[7] ?? 0)];
  if (Math.max(uid, gid) >= 0xffff_ffff || bits > 0o7777 || high > 0xfff || low > 0xf_ffff) return undefined;
  // Anything may be in the place of an empty file. The device 0:0 would be a whiteout of overlayfs.
  if (type !== kind && (kind !== S_IFREG || stat.size > 0 || type === S_IFDIR)) return undefined;
  const rdev = makedev(high, low);
  return type === S_IFCHR && rdev === 0 ? undefined : { ...stat, mode: type | bits, uid, gid, rdev };
}
