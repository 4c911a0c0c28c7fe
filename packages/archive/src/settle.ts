import { CodedError } from "@varve/errors";
import { S_IFDIR, S_IFLNK, S_IFMT } from "@varve/syscalls";
import { DiskTree } from "./disk-tree.ts";
import { entryError, printableName } from "./entry-error.ts";
import type { LowerQuestions, SettleResult } from "./types.ts";
import { UpperEditor } from "./upper-editor.ts";

/** As the layer was written. */
export interface SettleOptions {
  readonly ownership?: "keep" | "skip" | undefined;
  readonly userxattr?: boolean | undefined;
}

/**
 * Answers the questions of a layer that was written into the upper directory `upper`, when its lower layers are there:
 * the tree is then what it would be had the layer been applied in place. If it says `redo`, nothing was changed.
 *
 * @param lower the merged tree of all lower layers (a read-only mount will do), or `undefined` if there are none
 * @throws ERR_INVALID_DATA a hard link's target does not exist
 * @throws ERR_FAILED_PRECONDITION the directories are not those of the layer, or somebody else changes them
 */
export function settleLayer(
  upper: string,
  lower: string | undefined,
  questions: LowerQuestions,
  options: SettleOptions = {},
): SettleResult {
  if (questions.redo !== undefined) return { redo: true, reason: questions.redo };
  if (lower === undefined) {
    for (const link of questions.links) throw missingTarget(link.path);
    return { redo: false };
  }
  const below = new DiskTree(lower);
  try {
    const reason = contradiction(below, questions);
    if (reason !== undefined) return { redo: true, reason };
    const editor = new UpperEditor(upper, below, options);
    try {
      for (const link of questions.links) if (link.stays) editor.link(link);
      for (const path of questions.whiteouts) editor.whiteout(path);
      for (const path of questions.opaque) editor.opaque(path);
      for (const path of questions.implied) editor.imply(path);
      editor.finish();
    } finally {
      editor.close();
    }
    return { redo: false };
  } finally {
    below.close();
  }
}

/** What in the lower layers is not as the writer of the layer took it to be. */
function contradiction(below: DiskTree, questions: LowerQuestions): string | undefined {
  for (const path of questions.assumed) {
    const kind = (below.stat(path)?.mode ?? S_IFDIR) & S_IFMT;
    if (kind !== S_IFDIR) {
      return `"${printableName(path)}" is ${kind === S_IFLNK ? "a link" : "not a directory"} in a lower layer`;
    }
  }
  for (const { path, target } of questions.links) {
    const stat = below.stat(target);
    if (stat === undefined) throw missingTarget(path);
    if ((stat.mode & S_IFMT) === S_IFDIR) throw entryError("ERR_INVALID_DATA", path, "hard link to a directory");
  }
  return undefined;
}

function missingTarget(path: string): CodedError {
  return entryError("ERR_INVALID_DATA", path, "hard link to a file that does not exist");
}
