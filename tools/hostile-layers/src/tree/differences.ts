import type { ExpectedTree } from "../types.ts";
import type { ExpectedNode } from "./expected.ts";
import type { Tree, TreeNode } from "./read-tree.ts";

/** One line for each way in which a tree is not what was expected; none if it is. */
export function differences(tree: Tree, { tree: expected, partsLinks }: ExpectedTree): string[] {
  const lines: string[] = [];
  for (const path of tree.keys()) {
    if (path !== "" && !Object.hasOwn(expected, path)) lines.push(`${shown(path)}: should not exist`);
  }
  const groups = groupsOf(expected);
  for (const [path, wanted] of Object.entries(expected)) {
    const found = tree.get(path);
    if (found === undefined) {
      lines.push(`${shown(path)}: missing`);
      continue;
    }
    lines.push(...attributes(path, found, wanted));
    const group = groups.get(path);
    if (found.type !== "directory" && found.inode !== group && partsLinks !== true) {
      lines.push(`${shown(path)}: same file as ${shown(found.inode)} instead of ${shown(group ?? "")}`);
    }
  }
  return lines;
}

/** One line for each difference of two trees that should be the same in everything. */
export function compareTrees(found: Tree, wanted: Tree, without: readonly (keyof TreeNode)[] = []): string[] {
  const lines: string[] = [];
  for (const path of found.keys()) if (!wanted.has(path)) lines.push(`${shown(path)}: should not exist`);
  for (const [path, node] of wanted) {
    const other = found.get(path);
    if (other === undefined) lines.push(`${shown(path)}: missing`);
    else
      lines.push(
        ...attributes(
          path,
          other,
          Object.fromEntries(Object.entries(node).filter(([key]) => !without.some((one) => one === key))),
        ),
      );
  }
  return lines;
}

function attributes(
  path: string,
  found: TreeNode,
  wanted: Partial<Record<keyof ExpectedNode | keyof TreeNode, unknown>>,
): string[] {
  return Object.entries(wanted).flatMap(([key, value]) => {
    if (value === undefined || key === "sameAs") return [];
    const actual = text(found[key as keyof TreeNode]);
    return actual === text(value) ? [] : [`${shown(path)}: ${key}: ${actual} instead of ${text(value)}`];
  });
}

/** For each path the first one of those that are the same file. */
function groupsOf(expected: ExpectedTree["tree"]): Map<string, string> {
  const first = new Map<string, string>();
  const paths = Object.keys(expected).toSorted();
  const rootOf = (path: string): string => {
    const next = expected[path]?.sameAs;
    return next === undefined ? path : rootOf(next);
  };
  const groups = new Map<string, string>();
  for (const path of paths) {
    const root = rootOf(path);
    if (!first.has(root)) first.set(root, path);
    groups.set(path, first.get(root) ?? path);
  }
  return groups;
}

function text(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  const json = isRecord(value)
    ? JSON.stringify(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : (JSON.stringify(value) ?? "nothing");
  return json.length > 300 ? `${json.slice(0, 300)}…` : json;
}

function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function shown(path: string): string {
  const escaped = JSON.stringify(path);
  return escaped.length > 120 ? `${escaped.slice(0, 60)}…${escaped.slice(-59)}` : escaped;
}
