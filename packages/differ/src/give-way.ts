import { getPriority, setPriority } from "node:os";

const niceness = 5;

/**
 * Has this thread, and not the process, take second place where there are not enough processors: the main thread keeps the downloads
 * going, and may be somebody's program. Called in a worker, before anything else.
 */
export function giveWay(): void {
  // Elsewhere a priority is that of the whole process.
  if (process.platform !== "linux") return;
  try {
    setPriority(Math.min(getPriority() + niceness, 19));
  } catch {
    // A sandbox may forbid it: then it works as before.
  }
}
