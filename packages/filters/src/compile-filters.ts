import { CodedError } from "@varve/errors";
import { compileExpression } from "./expression.ts";
import { printable } from "./parse-error.ts";
import { parseFilter } from "./parse-filter.ts";
import type { Selector } from "./parse-filter.ts";

/**
 * The value of one field of an item, `undefined` if the item does not have it or nothing has.
 * `path` is what stood between the dots.
 */
export type Fields<T> = (item: T, path: readonly [string, ...string[]]) => string | undefined;

/**
 * Makes one test of a list of filters: an item passes if it passes one of them, and every item does if there are none.
 * What an item does not have counts as empty text for `!=` and `~=`, as in containerd: `labels.a!=b` lets through what has
 * no label `a`, and so does `labels.a~=.*`.
 *
 * Regular expressions are those of RE2, as in Go, and match any part of a value unless `^` and `$` say otherwise. They take
 * time linear in the value, so a filter from outside cannot keep the process busy; 1000 characters are the limit.
 *
 * @throws ERR_INVALID_ARGUMENT a filter cannot be read; containerd lets a wrong regular expression pass, and matches nothing
 */
export function compileFilters<T>(filters: readonly string[] | undefined, fields: Fields<T>): (item: T) => boolean {
  if (filters === undefined || filters.length === 0) return () => true;
  const alternatives = filters.map((filter) =>
    parseFilter(filter).map((selector) => compile(filter, selector, fields)),
  );
  return (item) => alternatives.some((tests) => tests.every((holds) => holds(item)));
}

function compile<T>(filter: string, selector: Selector, fields: Fields<T>): (item: T) => boolean {
  const { path, operator, value } = selector;
  if (operator === "present") return (item) => fields(item, path) !== undefined;
  if (operator === "==") return (item) => fields(item, path) === value;
  if (operator === "!=") return (item) => (fields(item, path) ?? "") !== value;
  const matches = expression(filter, value);
  return (item) => matches(fields(item, path) ?? "");
}

function expression(filter: string, pattern: string): (text: string) => boolean {
  try {
    return compileExpression(pattern);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const message = `filter ${printable(filter)}: regular expression ${printable(pattern)}: ${error.message}`;
    throw new CodedError("ERR_INVALID_ARGUMENT", message, { cause: error });
  }
}
