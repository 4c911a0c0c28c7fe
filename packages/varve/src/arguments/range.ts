import { InvalidArgumentError } from "commander";
import { UsageError } from "../exit-code.ts";

/** A part of a blob as HTTP writes it: both ends belong to it, and one may be absent. */
export interface Range {
  readonly text: string;
  readonly first?: number | undefined;
  readonly last?: number | undefined;
}

/** Reads `0-99`, `100-`, or `-100` for the last hundred bytes. */
export function parseRange(text: string): Range {
  const [, first = "", last = ""] = /^(\d{0,15})-(\d{0,15})$/.exec(text) ?? [];
  const range = {
    text,
    first: first === "" ? undefined : Number(first),
    last: last === "" ? undefined : Number(last),
  };
  const isEmpty = range.first === undefined && range.last === undefined;
  const isBackwards = range.first !== undefined && range.last !== undefined && range.last < range.first;
  if (isEmpty || isBackwards) throw new InvalidArgumentError("Not FIRST-LAST, FIRST- or -COUNT.");
  return range;
}

/** From `start`, inclusive, to `end`, exclusive, in a blob of `size` bytes. What is beyond its end is left out. */
export function resolveRange(range: Range, size: number): { readonly start: number; readonly end: number } {
  const { first, last, text } = range;
  const start = first ?? Math.max(0, size - (last ?? 0));
  const end = first === undefined || last === undefined ? size : Math.min(size, last + 1);
  if (start >= end) throw new UsageError(`range ${text}: the blob has ${size} bytes`);
  return { start, end };
}
