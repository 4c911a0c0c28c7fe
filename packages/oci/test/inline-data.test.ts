import { digestOf, parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { emptyConfig, useInlineData } from "@varve/oci";
import { expect, test } from "vitest";

const text = "hello";
const descriptor = {
  mediaType: "text/plain",
  digest: digestOf(text),
  size: 5,
  data: Buffer.from(text).toString("base64"),
};

// U-CS.7, M13
test("inline data is used when size and digest are right", () => {
  expect(useInlineData(descriptor)).toEqual(new TextEncoder().encode(text));
  expect(useInlineData({ ...descriptor, digest: digestOf(text, "sha512") })).toHaveLength(5);
  expect(useInlineData(emptyConfig)).toEqual(new TextEncoder().encode("{}"));
});

test("no bytes are bytes too", () => {
  expect(useInlineData({ ...descriptor, digest: digestOf(""), size: 0, data: "" })).toEqual(new Uint8Array());
});

// U-CS.7: otherwise the store is asked
test.each([
  ["none", { data: undefined }],
  ["another size", { size: 6 }],
  ["another digest", { digest: digestOf("other") }],
  ["other bytes", { data: Buffer.from("hallo").toString("base64") }],
  ["what is not base64", { data: "!!!" }],
  ["nothing for some bytes", { data: "" }],
])("inline data with %s is passed over", (_name, change) => {
  expect(useInlineData({ ...descriptor, ...change })).toBeUndefined();
});

// U-CS.7
test("a malformed digest is an error", () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the wrong cast is the subject
  const digest = "sha256:abc" as Digest;
  expect(() => useInlineData({ ...descriptor, digest })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
  );
  expect(parseDigest(descriptor.digest)).toBe(descriptor.digest);
});
