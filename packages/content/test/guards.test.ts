import { canIngest, canManageIngests, canProvide } from "@varve/content";
import { expect, test } from "vitest";

const called = async (): Promise<never> => {
  throw new Error("not called");
};

test("a store is known by what it can do", () => {
  const whole = { open: called, writer: called, status: called, statuses: called, abort: called };
  expect([canProvide(whole), canIngest(whole), canManageIngests(whole)]).toEqual([true, true, true]);
  const reader = { open: called };
  expect([canProvide(reader), canIngest(reader), canManageIngests(reader)]).toEqual([true, false, false]);
  const writer = { writer: called, abort: called };
  expect([canProvide(writer), canIngest(writer), canManageIngests(writer)]).toEqual([false, true, false]);
});

test("members of those names that are no functions do not count", () => {
  const odd = { open: true, writer: "yes", status: 1, statuses: {}, abort: null };
  expect([canProvide(odd), canIngest(odd), canManageIngests(odd)]).toEqual([false, false, false]);
});
