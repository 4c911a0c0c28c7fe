import { openTrees } from "./open-trees.ts";
import { pathOf } from "./tree-entry.ts";
import type { Change, ListOptions, Trees } from "./types.ts";

/**
 * Lists what differs between two trees, in the order of the bytes of the names, a directory before what is in it. A name of a
 * file with several names that is linked to others than before counts as modified; it may be listed after the new name.
 *
 * @throws ERR_FAILED_PRECONDITION a tree changes meanwhile
 * @throws ERR_NOT_IMPLEMENTED with form `overlay`: the directory does not tell by itself what changed, walk the mounted trees;
 * or not Linux
 */
export function* listChanges(trees: Trees, options: ListOptions = {}): Generator<Change, void, undefined> {
  const open = openTrees(trees, options.check);
  try {
    for (const step of open.steps) {
      if (step.kind === "socket") continue;
      if (step.kind === "emptied") {
        for (const name of step.names) yield { kind: "deleted", path: bytes(step.directory.pathOf(name)) };
      } else if (step.kind === "deleted") yield { kind: "deleted", path: bytes(step.parent.pathOf(step.name)) };
      else yield { kind: step.kind, path: bytes(pathOf(step.entry)) };
    }
  } finally {
    open.close();
  }
}

function bytes(path: string): Buffer {
  return Buffer.from(path, "latin1");
}
