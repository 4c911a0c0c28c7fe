import { CodedError, type ErrorCode } from "@varve/errors";
import { placed, printableName } from "../entry-error.ts";

/** An error about one path of a tree that is compared. The path has one character a byte. */
export function treeError(code: ErrorCode, path: string, why: string): CodedError {
  return new CodedError(code, `tree: entry "${printableName(path)}": ${why}`);
}

/** Somebody works on a tree that must hold still, so that what was read may belong to no moment at all. */
export function changedMeanwhile(path: string, what: string): CodedError {
  return treeError("ERR_FAILED_PRECONDITION", path, `${what} while the trees were read`);
}

/** Adds the path to an error of the system, which keeps its code. */
export function atPath(path: string, thrown: unknown): unknown {
  return placed(thrown, { subject: "tree", name: path });
}
