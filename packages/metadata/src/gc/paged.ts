import type { Row, Session } from "../database.ts";

const pageSize = 500;

/** A part of something long. Says whether it was the last one. */
export type Stage = (session: Session) => boolean;

/** Reads a whole table in the order of its key, a page a step. */
export function paged(table: string, key: string, columns: string, each: (row: Row) => void): Stage {
  const names = key.split(", ");
  const values = names.map(() => "?").join(", ");
  const sql = (where: string): string => `SELECT ${columns} FROM ${table} ${where} ORDER BY ${key} LIMIT ${pageSize}`;
  let last: Row | undefined;
  return (session) => {
    const after = last;
    const rows =
      after === undefined
        ? session.all(sql(""))
        : session.all(sql(`WHERE (${key}) > (${values})`), ...names.map((name) => after[name] ?? null));
    for (const row of rows) each(row);
    last = rows.at(-1);
    return rows.length < pageSize;
  };
}
