import { parseFilter } from "@varve/filters";
import type { Narrowing } from "./record.ts";

const conditions: ReadonlyMap<string, string> = new Map([
  ["name", "s.name = ?"],
  ["kind", "s.kind = ?"],
  // No parent is the empty text to a filter.
  ["parent", "s.parent IS (SELECT id FROM snapshots WHERE name = ?)"],
]);

/**
 * What the database can leave out of a walk with `filters`, so that one snapshot among many, or the children of one, are found
 * by an index. What is left has still to be held against the filters.
 *
 * @throws ERR_INVALID_ARGUMENT the filter cannot be read
 */
export function narrow(filters: readonly string[] = []): Narrowing {
  const [filter, ...alternatives] = filters;
  const selectors = filter === undefined || alternatives.length > 0 ? [] : parseFilter(filter);
  const wanted = new Map<string, string>();
  for (const { path, operator, value } of selectors) {
    const condition = path.length === 1 && operator === "==" ? conditions.get(path[0]) : undefined;
    // Of two that name one field the first is enough to leave nothing out that is wanted.
    if (condition !== undefined && !wanted.has(condition)) wanted.set(condition, value);
  }
  return { condition: ["1", ...wanted.keys()].join(" AND "), values: [...wanted.values()] };
}
