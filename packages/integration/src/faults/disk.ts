import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/**
 * Everything below a directory, a line each: the path and what it takes up. Numbers in names, which are given anew each time,
 * are left out, and how many pages a database has and does not use.
 */
export function diskUse(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((path) => {
      const { blocks, nlink, mode } = lstatSync(join(root, path));
      const kib = path.endsWith(".db") ? `up to ${Math.ceil(blocks / 512) * 256}` : blocks / 2;
      return `${withoutNumbers(path)}: mode ${mode.toString(8)}, ${kib} KiB, ${nlink} links`;
    })
    .toSorted();
}

/** Ids, and the names that the kernel's overlay gives in its working directory. */
function withoutNumbers(path: string): string {
  return path.replaceAll(/(?<=^|\/)\d+(?=$|\/)/g, "N").replaceAll(/(?<=\/work\/)#[0-9a-f]+$/g, "#N");
}

/** What the one has and the other has not. */
export function differences(actual: readonly string[], expected: readonly string[]): string[] {
  return [
    ...without(actual, expected).map((line) => `on disk is ${line}`),
    ...without(expected, actual).map((line) => `on disk is not ${line}`),
  ];
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
