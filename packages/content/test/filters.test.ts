import { blobFilter, ingestFilter } from "@varve/content";
import type { BlobInfo, IngestStatus } from "@varve/content";
import { describe, expect, it, test } from "vitest";
import { digest } from "./fakes.ts";

const now = new Date(0);
const info: BlobInfo = {
  digest,
  size: 1024,
  createdAt: now,
  updatedAt: now,
  labels: { plain: "1", "containerd.io/gc.root": "yes" },
};

// C-CH.29, U-LCS.5
describe("blobs are filtered by digest, size and labels:", () => {
  it.each<[string, boolean]>([
    [`digest==${digest}`, true],
    [`digest==${digest},size==1`, false],
    ["digest~=^sha256:", true],
    ["digest.x", false],
    ["size==1024", true],
    ["size!=1024", false],
    ["size==1024.0", false],
    ["labels.plain", true],
    ["labels.plain==1", true],
    ["labels.other", false],
    ["labels.other!=1", true],
    ['labels."containerd.io/gc.root"==yes', true],
    ['labels."containerd.io/gc"."root"==yes', true],
    ["ref", false],
    ["createdAt", false],
  ])("%s", (filter, expected) => {
    expect(blobFilter([filter])(info)).toBe(expected);
  });
});

// U-LCS.15
test("ingests are filtered by their ref, and by nothing else", () => {
  const status: IngestStatus = { ref: "layer-sha256:0", offset: 5, startedAt: now, updatedAt: now };
  expect(ingestFilter(['ref=="layer-sha256:0"'])(status)).toBe(true);
  expect(ingestFilter(["ref~=^layer-"])(status)).toBe(true);
  expect(ingestFilter(["ref==layer"])(status)).toBe(false);
  expect(ingestFilter(["ref.x"])(status)).toBe(false);
  expect(ingestFilter(["offset==5"])(status)).toBe(false);
});

test("without filters everything is let through, and a filter that cannot be read is refused", () => {
  expect(blobFilter(undefined)(info)).toBe(true);
  expect(blobFilter([])(info)).toBe(true);
  const refusal: unknown = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
  expect(() => blobFilter(["size=1"])).toThrow(refusal);
  expect(() => ingestFilter(["ref=1"])).toThrow(refusal);
});
