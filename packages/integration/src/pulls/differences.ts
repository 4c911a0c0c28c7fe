import { inspect, isDeepStrictEqual } from "node:util";
import { compareTrees } from "../tree.ts";
import type { TreeEntry } from "../tree.ts";
import type { Outcome } from "./way.ts";

export interface DifferencesOptions {
  /** Otherwise hard links to files of lower layers may have been parted, as overlayfs does (docs/layers.md). */
  readonly sameSnapshotter: boolean;
}

/** A line for everything that one way did otherwise than another. */
export function differences(actual: Outcome, expected: Outcome, { sameSnapshotter }: DifferencesOptions): string[] {
  const lines: string[] = actual.left.map((line) => `left ${line}`);
  for (const part of ["error", "layers", "snapshots", "blobs"] as const) {
    if (isDeepStrictEqual(actual[part], expected[part])) continue;
    lines.push(`${part}: ${shown(actual[part])} instead of ${shown(expected[part])}`);
  }
  const compared = sameSnapshotter ? (tree: Tree): Tree => tree : withoutLinks;
  for (const [chainId, tree] of expected.trees) {
    const other = actual.trees.get(chainId);
    if (other === undefined) continue;
    lines.push(...compareTrees(compared(other), compared(tree)).map((line) => `${chainId}: ${line}`));
  }
  return lines;
}

function shown(value: unknown): string {
  return inspect(value, { depth: 5, breakLength: Infinity });
}

type Tree = ReadonlyMap<string, TreeEntry>;

function withoutLinks(tree: Tree): Tree {
  return new Map([...tree].map(([path, entry]) => [path, { ...entry, firstLink: "" }]));
}
