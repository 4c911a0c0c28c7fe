import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentOwner, ownerFromFileName, ownerToFileName } from "@varve/locks";
import type { ProcessOwner } from "@varve/locks";

const prefix = "varve-mount-";
const pattern = /^varve-mount-([0-9a-f_-]+)\.[A-Za-z0-9]{6}$/;

/**
 * The path of a directory to mount on for a while, up to the random letters that mkdtemp adds. It names this process,
 * for `removeStaleTemporaryMounts`.
 *
 * @param directory default: the system's directory for such
 */
export function temporaryMountPrefix(directory: string = tmpdir()): string {
  return join(directory, `${prefix}${ownerToFileName(currentOwner())}.`);
}

/** Whose temporary mount a directory of that name is, if it is one. */
export function temporaryMountOwner(name: string): ProcessOwner | undefined {
  return ownerFromFileName(pattern.exec(name)?.[1] ?? "");
}
