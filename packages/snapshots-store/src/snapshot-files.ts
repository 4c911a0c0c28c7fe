import { closeSync, constants, lstatSync, openSync } from "node:fs";
import { CodedError } from "@varve/errors";
import { errnoOf, isErrno } from "./errno.ts";

/** The files of a snapshot, in its directory. */
const filesName = "fs";

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** What is wrong with a directory: nothing is there, or something that is no directory, such as a link. */
export interface Damage {
  readonly kind: "missing" | "replaced";
  readonly path: string;
}

/** What is wrong with a snapshot's directory and that of its files in it, if anything. Follows no link. */
export function damageOf(directory: string): Damage | undefined {
  return damageAt(directory) ?? damageAt(`${directory}/${filesName}`);
}

function damageAt(path: string): Damage | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { kind: "missing", path };
  return stat.isDirectory() ? undefined : { kind: "replaced", path };
}

/** @throws ERR_DATA_LOSS a snapshot's directory or that of its files is missing, or something else */
export function mustStand(subject: string, directory: string): void {
  const damage = damageOf(directory);
  if (damage !== undefined) throw damaged(subject, damage);
}

export function describeDamage({ kind, path }: Damage): string {
  return kind === "missing" ? `directory ${path} is gone` : `directory ${path} was replaced by something else`;
}

/**
 * Opens the directory of a snapshot's files, whoever swaps what on the way there.
 *
 * @throws ERR_DATA_LOSS it is missing, or replaced
 */
export function openFiles(subject: string, directory: string): number {
  const outer = openDirectory(subject, directory, directory);
  try {
    return openDirectory(subject, `/proc/self/fd/${outer}/${filesName}`, `${directory}/${filesName}`);
  } finally {
    closeSync(outer);
  }
}

function openDirectory(subject: string, path: string, shown: string): number {
  try {
    return openSync(path, directoryFlags);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) throw error;
    const kind = errnoOf(error) === "ENOENT" ? "missing" : "replaced";
    throw damaged(subject, { kind, path: shown }, error);
  }
}

function damaged(subject: string, damage: Damage, cause?: unknown): CodedError {
  const message = `${subject}: ${describeDamage(damage)}`;
  return new CodedError("ERR_DATA_LOSS", message, cause === undefined ? {} : { cause });
}
