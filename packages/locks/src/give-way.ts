import { getPriority, setPriority } from "node:os";

const niceness = 5;

/**
 * Has the calling thread, and not its process, take second place where there are not enough processors: the main thread goes on, and may be
 * somebody's program. For a worker, before anything else: threads that it starts begin at its place, and there is no way back up.
 * Each call goes further down, to the last place at most. Outside of Linux, or where a sandbox forbids it, nothing happens.
 */
export function giveWay(): void {
  // Elsewhere a priority is that of the whole process.
  if (process.platform !== "linux") return;
  try {
    setPriority(Math.min(getPriority() + niceness, 19));
  } catch {
    // Then it works as before.
  }
}
