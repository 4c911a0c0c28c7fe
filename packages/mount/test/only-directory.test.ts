import { onlyDirectory } from "@varve/mount";
import { expect, test } from "vitest";

const bind = { type: "bind", source: "/tree", options: ["ro", "rbind"] };

test("a bind mount of a directory shows what is in it, and nothing else does", () => {
  expect(onlyDirectory([bind])).toBe("/tree");
  expect(onlyDirectory([])).toBeUndefined();
  expect(onlyDirectory([bind, { ...bind, target: "proc" }])).toBeUndefined();
  expect(onlyDirectory([{ ...bind, target: "sub" }])).toBeUndefined();
  expect(onlyDirectory([{ type: "overlay", source: "overlay", options: ["lowerdir=/b:/a"] }])).toBeUndefined();
  expect(onlyDirectory([{ ...bind, options: ["rbind", "uidmap=0:1000:1"] }])).toBeUndefined();
});
