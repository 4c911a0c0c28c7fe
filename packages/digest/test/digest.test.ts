import { createHash } from "node:crypto";
import { digestAlgorithm, digestHex, isDigest, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

const lengths = [
  ["sha256", 64],
  ["sha384", 96],
  ["sha512", 128],
] as const;

describe("parseDigest", () => {
  // S-ID.5
  test.each(lengths)("takes %s with %i digits apart", (algorithm, length) => {
    const hex = "0123456789abcdef".repeat(length / 16);
    const digest = parseDigest(`${algorithm}:${hex}`);
    expect(digest).toBe(`${algorithm}:${hex}`);
    expect(digestAlgorithm(digest)).toBe(algorithm);
    expect(digestHex(digest)).toBe(hex);
  });

  // S-ID.5: a format error …
  test.each([
    ["", "not of the form algorithm:hex"],
    ["sha256", "not of the form algorithm:hex"],
    ["sha256:", "not of the form algorithm:hex"],
    [`:${"a".repeat(64)}`, "not of the form algorithm:hex"],
    ["a".repeat(64), "not of the form algorithm:hex"],
    [`sha256:${"a".repeat(64)}\n`, "not of the form algorithm:hex"],
    [` sha256:${"a".repeat(64)}`, "not of the form algorithm:hex"],
    [`SHA256:${"a".repeat(64)}`, "not of the form algorithm:hex"],
    [`sha256:../../${"a".repeat(58)}`, "not of the form algorithm:hex"],
    [`sha256:${"a".repeat(63)}`, "wrong number of hex digits"],
    [`sha256:${"a".repeat(65)}`, "wrong number of hex digits"],
    [`sha512:${"a".repeat(64)}`, "wrong number of hex digits"],
    [`sha256:${"A".repeat(64)}`, "not lower-case hex"],
    [`sha256:${"g".repeat(64)}`, "not lower-case hex"],
  ])("refuses %j by its form", (text, why) => {
    expect(() => parseDigest(text)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining(why) }),
    );
    expect(isDigest(text)).toBe(false);
  });

  // … distinct from an unsupported algorithm.
  test.each([`md5:${"a".repeat(32)}`, "sha1:abc", "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"])(
    "says that the algorithm of %s is unknown",
    (text) => {
      expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: "ERR_NOT_IMPLEMENTED" }));
      expect(isDigest(text)).toBe(false);
    },
  );

  test("keeps a long text out of its message", () => {
    expect(() => parseDigest("x".repeat(1_000_000))).toThrow(/^digest "x{80}…": not of the form algorithm:hex$/);
  });

  test("takes every digest that can be computed", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom("sha256", "sha384", "sha512"), (bytes, algorithm) => {
        const text = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
        expect(parseDigest(text)).toBe(text);
      }),
    );
  });

  test("never throws anything but the two errors, and agrees with isDigest", () => {
    const nearly = fc.stringMatching(/^[a-z0-9+.]{1,8}:[a-f0-9]{0,130}$/);
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly), (text) => {
        expect(["taken", "ERR_INVALID_ARGUMENT", "ERR_NOT_IMPLEMENTED"]).toContain(outcome(text));
        expect(isDigest(text)).toBe(outcome(text) === "taken");
      }),
    );
  });
});

function outcome(text: string): unknown {
  try {
    parseDigest(text);
    return "taken";
  } catch (error) {
    return error instanceof CodedError ? error.code : error;
  }
}

test.each([undefined, null, 7, {}, [`sha256:${"a".repeat(64)}`]])("isDigest says no to %o", (value) => {
  expect(isDigest(value)).toBe(false);
});

test("the parts of a text that was cast are not made up", () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the wrong cast is the subject
  const cast = `md5:${"a".repeat(32)}` as Digest;
  expect(() => digestAlgorithm(cast)).toThrow(expect.objectContaining({ code: "ERR_NOT_IMPLEMENTED" }));
});
