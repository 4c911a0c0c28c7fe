import { canStage } from "@varve/diff";
import type { Applier } from "@varve/diff";
import { expect, test } from "vitest";

const plain: Applier = { apply: async (layer) => layer };

test("an applier that only applies cannot stage", () => {
  expect(canStage(plain)).toBe(false);
});

test("an applier with a stage method can stage", () => {
  expect(canStage({ ...plain, stage: async () => ({ descriptor: {}, settle: async () => {} }) } as Applier)).toBe(true);
});

test("a member of that name that is no function does not count", () => {
  expect(canStage({ ...plain, stage: true } as Applier)).toBe(false);
});
