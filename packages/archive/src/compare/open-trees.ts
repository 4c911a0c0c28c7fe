import type { Step } from "./tree-entry.ts";
import { TreeReader } from "./tree-reader.ts";
import { TreeWalk } from "./tree-walk.ts";
import type { Trees } from "./types.ts";
import { UpperWalk } from "./upper-walk.ts";

/** Two trees that are being compared. */
export interface OpenTrees {
  readonly upper: TreeReader;
  readonly steps: Iterable<Step>;
  close(): void;
}

export function openTrees(trees: Trees, check: () => void = () => undefined): OpenTrees {
  const reading = { labels: trees.selinux ?? false, recorded: trees.ownership === "record" };
  const upper = new TreeReader(trees.upper, reading);
  let lower: TreeReader | undefined;
  const close = (): void => {
    upper.close();
    lower?.close();
  };
  try {
    if (trees.lower !== undefined) lower = new TreeReader(trees.lower, reading);
    const walk =
      trees.form === "overlay"
        ? new UpperWalk(upper, lower, trees.userxattr ?? false, check)
        : new TreeWalk(upper, lower, { contents: trees.trustTimes !== true, check });
    return { upper, steps: walk.steps(), close };
  } catch (error) {
    close();
    throw error;
  }
}
