import { expect, test } from "vitest";
// Not exported: what bounds the memory of a resolver that is asked for any number of names.
import { RecentMap } from "../src/hosts/recent-map.ts";

test("a map with room for so many keeps those that were used last", () => {
  const map = new RecentMap<string, number>(2);
  expect(map.getOrMake("a", () => 1)).toBe(1);
  map.set("b", 2);
  expect(map.getOrMake("a", () => 9)).toBe(1);
  map.set("c", 3);
  expect(map.entries()).toEqual([
    ["a", 1],
    ["c", 3],
  ]);
  expect(map.get("b")).toBeUndefined();
  map.delete("a");
  expect(map.entries()).toEqual([["c", 3]]);
});
