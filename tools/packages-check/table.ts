import { readFileSync } from "node:fs";

/** One row of the table in docs/architecture.md. */
export interface TableRow {
  readonly tag: string;
  readonly mayImport: readonly string[];
}

const rowPattern = /^\| *(\w+) *\| *`([\w-]+)` *\| *([^|]+?) *\|$/gm;

/** Reads the rows `| tag | package | may import |` of a document, by package folder. */
export function readDependencyTable(file: string): ReadonlyMap<string, TableRow> {
  const rows = new Map<string, TableRow>();
  for (const [, tag = "", folder = "", list = ""] of readFileSync(file, "utf8").matchAll(rowPattern)) {
    const mayImport = list === "–" ? [] : list.split(/, */).toSorted();
    rows.set(folder, { tag, mayImport });
  }
  return rows;
}
