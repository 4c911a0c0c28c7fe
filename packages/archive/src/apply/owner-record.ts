import type { TarType } from "../tar/tar-entry.ts";

/** Where containers/storage and fuse-overlayfs look for the owner, mode and kind of a file that belongs to the caller. */
export const recordAttribute = "user.containers.override_stat";

/** What a record holds. */
export interface Recorded {
  readonly type: Exclude<TarType, "hardlink">;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly deviceMajor?: number | undefined;
  readonly deviceMinor?: number | undefined;
}

/** A record as containers/storage writes it (pkg/idtools): `uid:gid:mode:type`, the mode in octal, devices `char-1-3`. */
export function formatRecord({ type, uid, gid, mode, deviceMajor, deviceMinor }: Recorded): Buffer {
  const kinds = { block: "block", char: "char", directory: "dir", fifo: "pipe", file: "file", symlink: "symlink" };
  const device = type === "block" || type === "char" ? `-${deviceMajor ?? 0}-${deviceMinor ?? 0}` : "";
  return Buffer.from(`${uid}:${gid}:${mode.toString(8).padStart(4, "0")}:${kinds[type]}${device}`);
}

/** The mode that a file with a record really has: the caller can work with it and nobody else, and no setuid. */
export function realMode({ type, mode }: Recorded): number {
  if (type === "directory") return 0o700;
  return type === "file" && (mode & 0o111) !== 0 ? 0o700 : 0o600;
}
