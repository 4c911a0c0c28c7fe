import { contentStoreCases, describeContentStore, runContentStoreCase } from "@varve/content-conformance";
import type { ContentStoreCase, OpenContentStore, TestFunction } from "@varve/content-conformance";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, test } from "vitest";
import { flaws } from "./flaws.ts";
import type { Flaw } from "./flaws.ts";
import { ToyPlace, ToyStore } from "./toy-store.ts";

function toys(flaw?: Flaw): OpenContentStore {
  const places = new Map<string, ToyPlace>();
  return (name) => {
    const place = places.get(name) ?? new ToyPlace();
    places.set(name, place);
    return new ToyStore(place, flaw);
  };
}

/** Whether the case notices; a broken store may also make it wait for ever. */
async function catches(testCase: ContentStoreCase, flaw: Flaw): Promise<boolean> {
  const run = runContentStoreCase(testCase, toys(flaw)).then(
    () => false,
    () => true,
  );
  return Promise.race([run, sleep(1000, true, { ref: false })]);
}

describeContentStore("toy", { describe, it, open: toys() });

test("every case has a broken store that it catches", () => {
  const names = contentStoreCases.map(({ name }) => name);
  const caught: string[] = Object.values(flaws).flat();
  expect(names.filter((name) => !caught.includes(name))).toEqual([]);
  expect(caught.filter((name) => !names.includes(name))).toEqual([]);
});

test("names of cases are unique, so that each has a place of its own", () => {
  const names = contentStoreCases.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

describe("a store that is broken is caught:", () => {
  const table = Object.entries(flaws).flatMap(([flaw, names]) => names.map((name) => ({ flaw, name })));
  it.each(table)("$flaw by '$name'", async ({ flaw, name }) => {
    const testCase = contentStoreCases.find((each) => each.name === name);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the table
    expect(testCase && (await catches(testCase, flaw as Flaw))).toBe(true);
  });
});

test("cases that need what a store lacks are shown as skipped, with what is lacking", () => {
  const [ran, skipped]: [string[], string[]] = [[], []];
  const register: TestFunction = Object.assign((name: string) => ran.push(name), {
    skip: (name: string) => skipped.push(name),
  });
  describeContentStore("lacking", {
    describe: (_, body) => body(),
    it: register,
    lacks: ["follow", "reopen"],
    open: toys(),
  });
  const lacking = contentStoreCases.filter(({ needs }) => needs.includes("follow") || needs.includes("reopen"));
  expect(skipped).toHaveLength(lacking.length);
  expect(ran).toHaveLength(contentStoreCases.length - lacking.length);
  expect(skipped).toContain("an ingest can be followed in another instance (lacks follow, reopen)");
});
