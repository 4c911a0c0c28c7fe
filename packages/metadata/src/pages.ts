import { setImmediate as turn } from "node:timers/promises";
import type { Database, Row, Session } from "./database.ts";

const pageSize = 250;

/** At most `limit` rows after the last one of the page before. */
export type Page = (session: Session, after: Row | undefined, limit: number) => readonly Row[];

/**
 * Rows page by page, so that no transaction is open while the consumer works (U-MD.16): pages, as every
 * step of an iteration costs as much as reading a row.
 */
export async function* pages(
  database: Database,
  page: Page,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Row[], void, undefined> {
  for (let after: Row | undefined; ;) {
    const last = after;
    const rows = await database.read((session) => page(session, last, pageSize), signal);
    if (rows.length > 0) yield rows;
    if (rows.length < pageSize) return;
    after = rows.at(-1);
    // Reading blocks the thread, and a consumer that waits for nothing itself would have it for all pages.
    await turn();
  }
}

/** A column of text of the row a page begins after; before the first page the empty text. */
export function textOf(row: Row | undefined, column: string): string {
  return String(row?.[column] ?? "");
}
