import { closeSync, openSync, readFileSync } from "node:fs";
import { withSubject } from "./errno.ts";

/**
 * Which mount an open file or directory is on: proc_pid_fdinfo(5). Not that of its directory if somebody has mounted something
 * over it, even from the same filesystem.
 */
export function mountIdOf(fd: number): string {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1] ?? "";
}

/** The same for a directory by its path. */
export function mountOf(directory: string): string {
  try {
    const fd = openSync(directory, "r");
    try {
      return mountIdOf(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw withSubject(error, `snapshot store ${directory}`, directory);
  }
}
