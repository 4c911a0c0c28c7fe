import { expect, test } from "vitest";
// Not exported: what the command line is read with is tested piece by piece here.
import { parseDuration } from "../src/arguments/duration.ts";
import { parseRange, resolveRange } from "../src/arguments/range.ts";
import { collectLabel, collectValue } from "../src/arguments/repeated.ts";

test.each([
  ["0", 0],
  ["500ms", 500],
  ["90s", 90_000],
  ["30m", 1_800_000],
  ["24h", 86_400_000],
  ["7d", 604_800_000],
  ["2w", 1_209_600_000],
  ["1h30m", 5_400_000],
])("the duration %s is %i milliseconds", (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.each(["", "30", "m", "1.5h", "-1h", "1h ", "1y", "1e9d", "99999999999999999999d"])("%j is no duration", (text) => {
  expect(() => parseDuration(text)).toThrow(/duration|hundred years/);
});

test.each([
  ["0-0", 0, 1],
  ["0-99", 0, 10],
  ["2-4", 2, 5],
  ["7-", 7, 10],
  ["-3", 7, 10],
  ["-99", 0, 10],
])("the range %s of ten bytes is from %i to before %i", (text, start, end) => {
  expect(resolveRange(parseRange(text), 10)).toEqual({ start, end });
});

test("a range that no blob can have is refused, and one that this blob does not have too", () => {
  for (const text of ["", "-", "4-2", "a-b", "1", "-1-2", "1-99999999999999999"]) {
    expect(() => parseRange(text), text).toThrow("FIRST-LAST");
  }
  for (const text of ["10-", "10-12", "-0"]) {
    expect(() => resolveRange(parseRange(text), 10), text).toThrow(`range ${text}: the blob has 10 bytes`);
  }
  expect(() => resolveRange(parseRange("0-9"), 0)).toThrow("has 0 bytes");
});

test("an option that may be repeated keeps all its values, of labels with one name the last", () => {
  expect(["a", "b"].reduce<readonly string[] | undefined>((all, value) => collectValue(value, all), undefined)).toEqual(
    ["a", "b"],
  );
  const labels = ["a=1", "b=x=y", "a=2", "c=", "__proto__=z"].reduce<Readonly<Record<string, string>> | undefined>(
    (all, label) => collectLabel(label, all),
    undefined,
  );
  expect(Object.entries(labels ?? {})).toEqual([
    ["a", "2"],
    ["b", "x=y"],
    ["c", ""],
    ["__proto__", "z"],
  ]);
  for (const wrong of ["", "a", "=b"]) expect(() => collectLabel(wrong), wrong).toThrow("NAME=VALUE");
});
