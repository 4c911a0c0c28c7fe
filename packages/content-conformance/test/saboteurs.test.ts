import { contentStoreCases, describeContentStore, runContentStoreCase } from "@varve/content-conformance";
import type { ContentStoreCase, OpenContentStore, TestFunction } from "@varve/content-conformance";
import { CodedError } from "@varve/errors";
import { AssertionError } from "node:assert";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, test } from "vitest";
import { flaws } from "./flaws.ts";
import type { Flaw } from "./flaws.ts";
import { ToyPlace } from "./toy-place.ts";
import { ToyStore } from "./toy-store.ts";

function toys(flaw?: Flaw): OpenContentStore {
  const places = new Map<string, ToyPlace>();
  return (name, options) => {
    const place = places.get(name) ?? new ToyPlace();
    places.set(name, place);
    return new ToyStore(place, flaw, options);
  };
}

/** Broken in a way that makes the case wait for ever, which a test runner's time-out catches. */
const silent: ReadonlySet<string> = new Set<Flaw>([
  "follow-from-now",
  "follow-one-behind",
  "follow-blind-to-truncation",
  "follow-ignores-signals",
]);

/** What comes of the case: a store that is no store at all, because of a slip in the toy, is not what it should catch. */
async function outcome(testCase: ContentStoreCase, flaw: Flaw): Promise<string> {
  const run = runContentStoreCase(testCase, toys(flaw)).then(
    () => "passes",
    (error: unknown) => (error instanceof AssertionError || error instanceof CodedError ? "catches" : String(error)),
  );
  return silent.has(flaw) ? Promise.race([run, sleep(300, "waits", { ref: false })]) : run;
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
  it.each(table)("$flaw by '$name'", { timeout: 20_000 }, async ({ flaw, name }) => {
    const testCase = contentStoreCases.find((each) => each.name === name);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the table
    expect(testCase && (await outcome(testCase, flaw as Flaw))).toBe(silent.has(flaw) ? "waits" : "catches");
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
