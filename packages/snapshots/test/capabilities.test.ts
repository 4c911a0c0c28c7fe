import { canCheck, canCleanup, canPrepareLayers, canRebase } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import { describe, expect, test } from "vitest";

async function unused(): Promise<never> {
  throw new Error("a guard calls nothing");
}

const plain: Snapshotter = {
  stat: unused,
  update: unused,
  usage: unused,
  mounts: unused,
  prepare: unused,
  view: unused,
  commit: unused,
  remove: unused,
  walk: () => {
    throw new Error("a guard calls nothing");
  },
  close: unused,
  [Symbol.asyncDispose]: unused,
};

const methods = ["cleanup", "rebase", "check", "prepareLayer"] as const;

describe.each([
  ["canCleanup", canCleanup, "cleanup"],
  ["canRebase", canRebase, "rebase"],
  ["canCheck", canCheck, "check"],
  ["canPrepareLayers", canPrepareLayers, "prepareLayer"],
] as const)("%s", (_, guard, method) => {
  test("is false without the method", () => {
    expect(guard(plain)).toBe(false);
  });

  test("is true with the method, own or inherited", () => {
    expect(guard({ ...plain, [method]: unused })).toBe(true);
    const heir: Snapshotter = Object.create({ ...plain, [method]: unused });
    expect(guard(heir)).toBe(true);
  });

  test("is false when something else has the name", () => {
    expect(guard({ ...plain, [method]: true })).toBe(false);
  });

  test("is false for the methods of the other capabilities", () => {
    const others = Object.fromEntries(methods.filter((name) => name !== method).map((name) => [name, unused]));
    expect(guard({ ...plain, ...others })).toBe(false);
  });
});
