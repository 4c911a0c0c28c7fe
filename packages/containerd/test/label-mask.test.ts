import { expect, test } from "vitest";
import { labelPaths, labelUpdate } from "../src/wire/label-mask.ts";

test.each([
  [[], { a: "1" }, { changes: { a: "1" }, replace: true }],
  [["labels"], { a: "1" }, { changes: { a: "1" }, replace: true }],
  [["labels.a"], { a: "1", b: "2" }, { changes: { a: "1" }, replace: false }],
  [["labels.a.b/c"], { "a.b/c": "1" }, { changes: { "a.b/c": "1" }, replace: false }],
  [["labels.a"], {}, { changes: { a: undefined }, replace: false }],
  [["labels.a"], { a: "" }, { changes: { a: undefined }, replace: false }],
])("the paths %j of labels %j (C-CS.11, 6.2 Update)", (paths, labels, expected) => {
  const update = labelUpdate(paths, labels, "snapshot a");
  expect({ ...update, changes: { ...update.changes } }).toEqual(expected);
});

test.each(["parent", "name", "label", "labelsx"])("the field %s cannot be changed (C-SN.6)", (path) => {
  expect(() => labelUpdate([path], {}, "snapshot a")).toThrow(`snapshot a: field ${path} cannot be changed`);
});

test("what one side asks for is what the other understands", () => {
  const changes = { a: "1", b: undefined };
  expect(labelPaths(changes, false)).toEqual(["labels.a", "labels.b"]);
  expect(labelUpdate(labelPaths(changes, false), { a: "1" }, "x").changes).toEqual(changes);
  expect(labelPaths(changes, true)).toEqual(["labels"]);
});
