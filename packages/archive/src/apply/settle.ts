import { S_IFDIR, S_IFLNK, S_IFMT } from "@varve/syscalls";
import { DiskTree } from "./disk-tree.ts";
import { defaultSubject, type Place, placed, printableName, Refusal } from "../entry-error.ts";
import type { LowerLink, LowerQuestions, Ownership, SettleResult } from "./types.ts";
import { UpperEditor } from "./upper-editor.ts";

/** As the layer was written. */
export interface SettleOptions {
  readonly ownership?: Ownership | undefined;
  readonly userxattr?: boolean | undefined;
  readonly subject?: string | undefined;
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
  const subject = options.subject ?? defaultSubject;
  if (lower === undefined) {
    for (const link of questions.links) throw placed(missingTarget(), placeOf(link, subject));
    return { redo: false };
  }
  const below = new DiskTree(lower);
  try {
    const reason = contradiction(below, questions, subject);
    if (reason !== undefined) return { redo: true, reason };
    edit(new UpperEditor(upper, below, options), questions, subject);
    return { redo: false };
  } finally {
    below.close();
  }
}

function edit(editor: UpperEditor, questions: LowerQuestions, subject: string): void {
  let place: Place = { subject };
  try {
    for (const link of questions.links) {
      place = placeOf(link, subject);
      if (link.stays) editor.link(link);
    }
    for (const name of questions.whiteouts) {
      place = { subject, name };
      editor.whiteout(name);
    }
    for (const name of questions.opaque) {
      place = { subject, name };
      editor.opaque(name);
    }
    place = { subject };
    for (const path of questions.implied) editor.imply(path);
    editor.finish();
  } catch (error) {
    throw placed(error, place);
  } finally {
    editor.close();
  }
}

/** What in the lower layers is not as the writer of the layer took it to be. */
function contradiction(below: DiskTree, questions: LowerQuestions, subject: string): string | undefined {
  for (const path of questions.assumed) {
    const kind = (below.stat(path)?.mode ?? S_IFDIR) & S_IFMT;
    if (kind !== S_IFDIR) {
      return `"${printableName(path)}" is ${kind === S_IFLNK ? "a link" : "not a directory"} in a lower layer`;
    }
  }
  for (const link of questions.links) {
    const stat = below.stat(link.target);
    if (stat === undefined) throw placed(missingTarget(), placeOf(link, subject));
    if ((stat.mode & S_IFMT) !== S_IFDIR) continue;
    throw placed(new Refusal("hardlink-target", "hard link to a directory"), placeOf(link, subject));
  }
  return undefined;
}

function placeOf({ path, offset }: LowerLink, subject: string): Place {
  return { subject, name: path, offset };
}

function missingTarget(): Refusal {
  return new Refusal("hardlink-target", "hard link to a file that does not exist");
}
