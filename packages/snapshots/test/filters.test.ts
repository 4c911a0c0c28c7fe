import { snapshotFilter } from "@varve/snapshots";
import type { SnapshotInfo } from "@varve/snapshots";
import { expect, test } from "vitest";

const at = new Date(0);
const base: SnapshotInfo = { kind: "committed", name: "a", labels: { "x/y": "1" }, createdAt: at, updatedAt: at };
const child: SnapshotInfo = { kind: "active", name: "b", parent: "a", labels: {}, createdAt: at, updatedAt: at };

// U-SN.7
test.each([
  ["name==a", ["a"]],
  ["parent==a", ["b"]],
  ['parent!=""', ["b"]],
  ['parent==""', ["a"]],
  ["kind==active", ["b"]],
  ["kind!=active", ["a"]],
  ['labels."x/y"==1', ["a"]],
  ['labels."x/y"', ["a"]],
  ["kind==active,parent==c", []],
  ["unknown==a", []],
  ["name.more==a", []],
])("%s lets through what it says", (filter, expected) => {
  expect([base, child].filter(snapshotFilter([filter])).map(({ name }) => name)).toEqual(expected);
});

test("several filters let through what one of them does, and none lets through all", () => {
  expect([base, child].filter(snapshotFilter(["name==a", "kind==active"]))).toHaveLength(2);
  expect([base, child].filter(snapshotFilter(undefined))).toHaveLength(2);
});

test("a filter that cannot be read is told", () => {
  expect(() => snapshotFilter(["name=="])).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
});
