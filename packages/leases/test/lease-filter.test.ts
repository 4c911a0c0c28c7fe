import { labelGcFlat, leaseFilter } from "@varve/leases";
import type { Lease } from "@varve/leases";
import { describe, expect, it, test } from "vitest";

const createdAt = new Date(0);
const leases: readonly Lease[] = [
  { id: "pull-1", labels: { host: "a" }, createdAt },
  { id: "pull-2", labels: { host: "b", [labelGcFlat]: "" }, createdAt, expiresAt: new Date(1) },
  { id: "build", labels: {}, createdAt },
];

function passing(...filters: readonly string[]): string[] {
  return leases.filter(leaseFilter(filters)).map(({ id }) => id);
}

// C-MD.7
describe("leases are filtered by id and labels:", () => {
  it.each<[string, readonly string[]]>([
    ["id==build", ["build"]],
    ["id~=^pull-", ["pull-1", "pull-2"]],
    ["id!=build", ["pull-1", "pull-2"]],
    ["labels.host", ["pull-1", "pull-2"]],
    ["labels.host==a", ["pull-1"]],
    ["labels.host!=a", ["pull-2", "build"]],
    ['labels."containerd.io/gc.flat"', ["pull-2"]],
    ["id~=^pull-,labels.host==b", ["pull-2"]],
    ["id.x", []],
    ["expiresAt", []],
  ])("%s", (filter, expected) => {
    expect(passing(filter)).toEqual(expected);
  });
});

test("several filters are or, none lets every lease through", () => {
  expect(passing("id==build", "labels.host==b")).toEqual(["pull-2", "build"]);
  expect(passing()).toHaveLength(3);
  expect(leases.filter(leaseFilter(undefined))).toHaveLength(3);
});

test("a filter that cannot be read is refused", () => {
  const refusal: unknown = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
  expect(() => leaseFilter(["id=build"])).toThrow(refusal);
});
