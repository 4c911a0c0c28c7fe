import { rm } from "node:fs/promises";

/** Removes files and directories, one after the other. What is missing is removed already; links are not followed. */
export async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { recursive: true, force: true });
}
