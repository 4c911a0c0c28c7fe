import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue } from "node:sqlite";
import { CodedError } from "@varve/errors";

/** A message need not be as long as a text may be. */
const shown = 100;

let comeBackWhole: boolean | undefined;

/**
 * Refuses texts that Node would not give back as they are: version 22 ends a text at its first zero byte when it reads it, so that
 * one name would be taken for another.
 *
 * @throws ERR_NOT_IMPLEMENTED there is such a text
 */
export function mustComeBackWhole(values: readonly SQLInputValue[]): void {
  for (const value of values) {
    if (typeof value !== "string" || !value.includes("\0")) continue;
    comeBackWhole ??= probe();
    if (comeBackWhole) continue;
    const start = JSON.stringify(value.slice(0, shown));
    const why = `holds a zero byte, at which Node ${process.versions.node} would cut it off when it reads it`;
    throw new CodedError("ERR_NOT_IMPLEMENTED", `text ${start}: ${why}; a later Node takes it`);
  }
}

function probe(): boolean {
  const database = new DatabaseSync(":memory:");
  try {
    return database.prepare("SELECT ? AS text").get("a\0b")?.["text"] === "a\0b";
  } finally {
    database.close();
  }
}
