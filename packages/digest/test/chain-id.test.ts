import { createHash } from "node:crypto";
import { chainId, chainIds, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import * as fc from "fast-check";
import { expect, test } from "vitest";

const diffIds = (count: number): Digest[] => Array.from({ length: count }, (_, index) => digestOf(`layer ${index}`));

function sha256(text: string): string {
  return `sha256:${createHash("sha256").update(text, "ascii").digest("hex")}`;
}

// S-ID.2
test("no layers have the empty chain ID", () => {
  expect(chainId([])).toBe("");
  expect(chainIds([])).toEqual([]);
});

// S-ID.2
test("the chain ID of one layer is its diff ID", () => {
  const [only] = diffIds(1);
  expect(chainId(diffIds(1))).toBe(only);
  expect(chainIds(diffIds(1))).toEqual([only]);
});

// S-ID.2: computed here with node:crypto alone
test("each further layer is hashed on with one space between", () => {
  const [a, b, c] = [digestOf("a"), digestOf("b"), digestOf("c")];
  const second = sha256(`${a} ${b}`);
  const third = sha256(`${second} ${c}`);
  expect(chainIds([a, b, c])).toEqual([a, second, third]);
  expect(chainId([a, b, c])).toBe(third);
});

// S-ID.4
test("it uses sha256 even when diff IDs are sha512", () => {
  const [a, b] = [digestOf("a", "sha512"), digestOf("b", "sha512")];
  expect(chainIds([a, b])).toEqual([a, digestOf(`${a} ${b}`, "sha256")]);
});

// S-ID.3
test("the argument is left alone", () => {
  const ids = Object.freeze(diffIds(4));
  const before = [...ids];
  chainIds(ids);
  expect(ids).toEqual(before);
});

test("every element is the chain ID of its prefix", () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 12 }), (names) => {
      const ids = names.map((name) => digestOf(name));
      expect(chainIds(ids)).toEqual(ids.map((_, index) => chainId(ids.slice(0, index + 1))));
    }),
  );
});

test("order matters", () => {
  const ids = diffIds(3);
  expect(chainId(ids)).not.toBe(chainId(ids.toReversed()));
});
