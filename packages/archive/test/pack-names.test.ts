import { utimesSync, writeFileSync } from "node:fs";
import { listChanges } from "@varve/archive";
import { expect, test } from "vitest";
import { Sandbox } from "./sandbox.ts";

test("the names of a large directory come in the order of their bytes, whatever they have in common", () => {
  using box = new Sandbox();
  const [lower, upper] = [box.directory(), box.directory()];
  const names = Array.from({ length: 2000 }, (_, at) => {
    const bytes = Buffer.from(String(at * 7919)).map((digit) => (digit - 0x30) * 25 + 5);
    return Buffer.from([...Array.from({ length: at % 200 }, () => 0xff), ...bytes]);
  }).filter((name) => !name.includes(0x2f));
  for (const [at, name] of names.entries()) {
    for (const root of at % 3 === 0 ? [lower] : at % 3 === 1 ? [upper] : [lower, upper]) {
      const path = Buffer.concat([Buffer.from(`${root}/`), name]);
      writeFileSync(path, "");
      utimesSync(path, 1, 1);
    }
  }
  for (const root of [lower, upper]) utimesSync(root, 1, 1);
  const found = [...listChanges({ lower, upper })].map(({ path }) => path);
  const expected = names.filter((_, at) => at % 3 !== 2).toSorted((a, b) => Buffer.compare(a, b));
  expect(found.map((name) => name.toString("hex"))).toEqual(expected.map((name) => name.toString("hex")));
});
