import { expect, test } from "vitest";
// Not exported: what the command prints is tested piece by piece here.
import { exitCodeOf, UsageError } from "../src/exit-code.ts";
import {
  formatAge,
  formatBytes,
  formatCount,
  formatDuration,
  formatLabels,
  formatTable,
  shortDigest,
} from "../src/format.ts";
import { CodedError } from "@varve/errors";

test("bytes have three digits and powers of 1000", () => {
  expect([0, 999, 1000, 63_312_345, 999_600, 1e12].map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1.00 kB",
    "63.3 MB",
    "1.00 MB",
    "1.00 TB",
  ]);
});

test("durations read well from milliseconds to minutes", () => {
  expect([0, 1234, 12_345, 125_000, 59_999].map(formatDuration)).toEqual([
    "0.00 s",
    "1.23 s",
    "12.3 s",
    "2 min 05 s",
    "60.0 s",
  ]);
});

test("ages are in their largest unit, and never negative", () => {
  expect([-1, 0, 59_999, 60_000, 3_599_999, 3_600_000, 86_399_999, 86_400_000, 1e10].map(formatAge)).toEqual([
    "0 s",
    "0 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h",
    "23 h",
    "1 d",
    "115 d",
  ]);
});

test("labels are shown by name, those of the store's bookkeeping are not, and one thing in the singular", () => {
  expect(formatLabels({ b: "2", a: "1" })).toBe("a=1,b=2");
  expect(formatLabels({})).toBe("-");
  const own = { "containerd.io/gc.ref.content.l.0": "sha256:x", "containerd.io/gc.expire": "never" };
  expect(formatLabels({ ...own, "containerd.io/gc.root": "yes" })).toBe("containerd.io/gc.root=yes");
  expect([0, 1, 2].map((count) => formatCount(count, "blob"))).toEqual(["0 blobs", "1 blob", "2 blobs"]);
});

test("a table is padded, and ends no line with spaces", () => {
  expect(
    formatTable([
      ["A", "LONG"],
      ["word", "x"],
    ]),
  ).toEqual(["A     LONG", "word  x"]);
});

test("twelve characters of a digest are shown, without its algorithm", () => {
  expect(shortDigest("sha256:0123456789abcdef")).toBe("0123456789ab");
});

test.each([
  ["ERR_INVALID_ARGUMENT", 2],
  ["ERR_NOT_FOUND", 3],
  ["ERR_UNAUTHENTICATED", 4],
  ["ERR_PERMISSION_DENIED", 4],
  ["ERR_DIGEST_MISMATCH", 5],
  ["ERR_INVALID_DATA", 5],
  ["ERR_DATA_LOSS", 5],
  ["ERR_NETWORK", 6],
  ["ERR_RATE_LIMITED", 7],
  ["ERR_NOT_IMPLEMENTED", 8],
  ["ERR_UNAVAILABLE", 9],
  ["ERR_INTERNAL", 1],
] as const)("%s ends the command with %i", (code, status) => {
  expect(exitCodeOf(new CodedError(code, "x"))).toBe(status);
});

test("a wrong command line ends with 2, an interrupt with 130, anything else with 1", () => {
  expect(exitCodeOf(new UsageError("x"))).toBe(2);
  expect(exitCodeOf(new DOMException("stopped", "AbortError"))).toBe(130);
  expect(exitCodeOf(Object.assign(new Error("full"), { code: "ENOSPC" }))).toBe(1);
  expect(exitCodeOf("thrown text")).toBe(1);
});
