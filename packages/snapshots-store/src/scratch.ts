import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { mountOf } from "./mount-id.ts";
import { removeTree } from "./remove-tree.ts";
import { stagingName } from "./staging.ts";

/**
 * Runs `body` with a new empty directory in the root of a store, and removes it. No cleanup takes it while this process
 * lives, and any takes it afterwards.
 */
export async function withScratchDirectory<T>(root: string, body: (directory: string) => Promise<T>): Promise<T> {
  const name = stagingName();
  const directory = join(root, name);
  mkdirSync(directory, { mode: 0o700 });
  try {
    return await body(directory);
  } finally {
    await removeTree(root, name, mountOf(root));
  }
}
