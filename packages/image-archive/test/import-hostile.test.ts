import { gzipSync } from "node:zlib";
import { CodedError } from "@varve/errors";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { describe, expect, test } from "vitest";
import { importArchive } from "@varve/image-archive";
import type { ImportOptions } from "@varve/image-archive";
import { FakeStore } from "./fake-store.ts";
import { blobEntries, blobPath, descriptorOf, indexEntry, json, layoutEntry, makeImage } from "./images.ts";
import { directory, file, hardlink, pieces, symlink, tar } from "./tar-builder.ts";
import type { Spec } from "./tar-builder.ts";

const image = makeImage(["bottom", "top"]);
const entries = [layoutEntry, indexEntry([image.target]), ...blobEntries(image)];
const layer = blobEntries(image)[1] ?? layoutEntry;
const first = [...image.blobs.keys()][1] ?? image.target.digest;

const emptyIndex = { schemaVersion: 2, manifests: [] };

function listed(mediaType: string, bytes: Buffer): Spec[] {
  const target = descriptorOf(mediaType, bytes);
  return [layoutEntry, indexEntry([target]), file(blobPath(target.digest), bytes)];
}

async function refusal(bytes: Uint8Array, options: Partial<ImportOptions> = {}): Promise<CodedError> {
  const content = new FakeStore();
  const [result] = await Promise.allSettled([importArchive(pieces(bytes), { content, ...options })]);
  expect(content.leftOpen()).toEqual([]);
  if (result.status === "fulfilled") throw new Error("the archive was imported");
  if (result.reason instanceof CodedError) return result.reason;
  throw result.reason;
}

describe("an archive is refused, and the entry named, that has", () => {
  test.each([
    [
      "a blob with other bytes",
      [{ ...layer, content: "b0ttom" }],
      "ERR_DIGEST_MISMATCH",
      /"blobs\/sha256\/.*": the 6 bytes have the digest sha256/,
    ],
    [
      "a stored blob in another size",
      [...entries, { ...layer, content: "longer than before" }],
      "ERR_DIGEST_MISMATCH",
      /the blob of that digest has 6/,
    ],
    [
      "a name with ..",
      [file("a/../../etc/passwd", "")],
      "ERR_INVALID_DATA",
      '"a/../../etc/passwd": the name leads out',
    ],
    ["an absolute name", [file("/etc/passwd", "")], "ERR_INVALID_DATA", '"/etc/passwd": the name is absolute'],
    [
      "a name without end",
      [file("x", "", { pax: { path: "long/".repeat(200) } })],
      "ERR_INVALID_DATA",
      "longer than 512",
    ],
    ["a name that is not UTF-8", [{ name: Buffer.from([0x61, 0xff]) }], "ERR_INVALID_DATA", "not UTF-8"],
    [
      "a file named like a directory",
      [file("a/", "x")],
      "ERR_INVALID_DATA",
      '"a/": a file with the name of a directory',
    ],
    ["index.json twice", [...entries, indexEntry([])], "ERR_INVALID_DATA", '"index.json": stands twice'],
    [
      "index.json twice by other names",
      [...entries, { ...indexEntry([]), name: ".//index.json" }],
      "ERR_INVALID_DATA",
      '"index.json": stands twice',
    ],
    ["a file and a link of one name", [file("a", ""), symlink("a", "b")], "ERR_INVALID_DATA", '"a": stands twice'],
    ["a link in the place of a blob", [symlink(blobPath(first), "../../a"), layer], "ERR_INVALID_DATA", "stands twice"],
    ["a link out of it", [symlink("a/b", "../../etc/passwd")], "ERR_INVALID_DATA", '"a/b": a link that leads out'],
    ["an absolute link", [symlink("a", "/etc/passwd")], "ERR_INVALID_DATA", '"a": a link that leads out'],
    ["a hard link out of it", [hardlink("a", "../b")], "ERR_INVALID_DATA", "leads out"],
    [
      "a directory with content",
      [directory("d", { content: "x".repeat(600) })],
      "ERR_INVALID_DATA",
      '"d": content of what can have none',
    ],
    [
      "a link with content",
      [{ ...symlink("l", "m"), content: "x" }],
      "ERR_INVALID_DATA",
      '"l": content of what can have none',
    ],
    [
      "a size that is no number",
      [file("a", "x", { sizeField: "1x" })],
      "ERR_INVALID_DATA",
      '"a": its size is no number',
    ],
    [
      "a size below zero",
      [file("a", "x", { sizeField: Buffer.alloc(12, 0xff) })],
      "ERR_INVALID_DATA",
      '"a": its size is no number',
    ],
    [
      "a size beyond all numbers",
      [file("a", "x", { sizeField: Buffer.from("80ffffffffffffffffffffff", "hex") })],
      "ERR_INVALID_DATA",
      "no number",
    ],
    ["two sizes", [file("a", "x", { pax: { size: "2" } })], "ERR_INVALID_DATA", '"a": two sizes'],
    [
      "a pax size that is no number",
      [file("a", "x", { pax: { size: "1e1" } })],
      "ERR_INVALID_DATA",
      "its size is no number",
    ],
    ["a sparse file", [file("a", "x", { pax: { "GNU.sparse.major": "1" } })], "ERR_INVALID_DATA", "a sparse file"],
    ["an old sparse file", [file("a", "x", { type: "S" })], "ERR_INVALID_DATA", '"a": the type "S" has no place'],
    [
      "a key twice in a header",
      [file("a", "", { pax: Buffer.from("9 path=b\n9 path=c\n") })],
      "ERR_INVALID_DATA",
      "malformed records",
    ],
    [
      "a record of a wrong length",
      [file("a", "", { pax: Buffer.from("99 path=b\n") })],
      "ERR_INVALID_DATA",
      "malformed records",
    ],
    [
      "a record of a length below zero",
      [file("a", "", { pax: Buffer.from("9 path=b\n-9 path=c\n") })],
      "ERR_INVALID_DATA",
      "malformed records",
    ],
    [
      "a huge header",
      [file("a", "", { pax: { path: "x".repeat(20_000) } })],
      "ERR_RESOURCE_EXHAUSTED",
      '"pax": an extended header of more than 16384',
    ],
    [
      "a huge name in GNU's way",
      [{ name: "@", type: "L", content: "x".repeat(20_000) }],
      "ERR_RESOURCE_EXHAUSTED",
      "an extended header of more than",
    ],
    [
      "two headers in a row",
      [{ name: "p", type: "x", content: "9 path=b\n" }, file("a", "", { pax: { path: "c" } })],
      "ERR_INVALID_DATA",
      "two extended headers",
    ],
    [
      "a name for all entries",
      [{ name: "g", type: "g", content: "9 path=b\n" }],
      "ERR_INVALID_DATA",
      "for several entries",
    ],
    [
      "a header and nothing after it",
      [{ name: "p", type: "x", content: "9 path=b\n" }],
      "ERR_INVALID_DATA",
      "nothing follows",
    ],
    ["a format that is not known", [file("a", "", { magic: "other" })], "ERR_INVALID_DATA", "unknown format"],
    [
      "an index.json that is too large",
      [layoutEntry, file("index.json", Buffer.alloc(8 * 1024 * 1024 + 1))],
      "ERR_RESOURCE_EXHAUSTED",
      '"index.json": 8388609 bytes',
    ],
    [
      "an index.json that is not JSON",
      [layoutEntry, file("index.json", "{")],
      "ERR_INVALID_DATA",
      '"index.json": index: not JSON',
    ],
    [
      "an index.json with two readings",
      [layoutEntry, file("index.json", '{"manifests":[],"Manifests":[]}')],
      "ERR_INVALID_DATA",
      "another spelling",
    ],
    ["no index.json", [layoutEntry], "ERR_INVALID_DATA", "without index.json"],
    [
      "another version",
      [file("oci-layout", '{"imageLayoutVersion":"2.0.0"}'), indexEntry([])],
      "ERR_NOT_IMPLEMENTED",
      'image layout of version "2.0.0"',
    ],
    [
      "no version",
      [file("oci-layout", "{}"), indexEntry([])],
      "ERR_INVALID_DATA",
      '"oci-layout": imageLayoutVersion: missing',
    ],
    [
      "one digest as two things",
      [
        layoutEntry,
        indexEntry([image.target, { ...image.target, mediaType: mediaTypes.ociIndex }]),
        ...blobEntries(image),
      ],
      "ERR_INVALID_DATA",
      "listed as two things",
    ],
    [
      "a manifest of another size",
      [layoutEntry, indexEntry([{ ...image.target, size: 5 }]), ...blobEntries(image)],
      "ERR_DIGEST_MISMATCH",
      "its descriptor says 5",
    ],
    // C-IMG.1
    ["an index as a manifest", listed(mediaTypes.ociManifest, json(emptyIndex)), "ERR_INVALID_DATA", "manifests"],
    ["both in one", listed(mediaTypes.ociIndex, json({ ...emptyIndex, layers: [] })), "ERR_INVALID_DATA", "layers"],
    ["Docker's schema 1", listed(mediaTypes.dockerSchema1, json({ fsLayers: [] })), "ERR_NOT_IMPLEMENTED", "schema 1"],
    [
      "schema 1 under another type",
      listed(mediaTypes.dockerManifest, json({ fsLayers: [] })),
      "ERR_NOT_IMPLEMENTED",
      "schema 1",
    ],
    [
      "a manifest as an index",
      [layoutEntry, indexEntry([{ ...image.target, mediaType: mediaTypes.ociIndex }]), ...blobEntries(image)],
      "ERR_INVALID_DATA",
      image.target.digest,
    ],
    ["a missing layer", entries.filter((one) => one !== entries[3]), "ERR_INVALID_DATA", "is missing"],
  ] satisfies [string, Spec[], string, string | RegExp][])("%s", async (_what, specs, code, message) => {
    const error = await refusal(tar(...specs));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    // Whatever the archive holds, a message stays one that can be read.
    expect(error.message.length).toBeLessThan(600);
  });
});

test("an archive that is cut anywhere is refused", async () => {
  const bytes = tar(...entries);
  const end = bytes.length - 1024;
  for (const length of [0, 1, 511, 512, 600, 1024, end - 512, end - 1, end, end + 100]) {
    const error = await refusal(bytes.subarray(0, length));
    expect([length, error.code]).toEqual([length, "ERR_INVALID_DATA"]);
  }
});

// Two ways to write a size that has no room in eleven octal digits.
test.each([
  ["in base 256", { sizeField: Buffer.from("800000000000000240000000", "hex") }],
  ["in an extended header", { sizeField: "00000000000\0", pax: { size: `${9 * 1024 ** 3}` } }],
])("a size of 9 GiB is understood %s", async (_how, more) => {
  // All that comes is content then, and what looks like an end mark is none.
  const error = await refusal(tar(file("large", "", more), file("not an entry", "x")));
  expect(error).toMatchObject({
    code: "ERR_INVALID_DATA",
    message: expect.stringMatching('cut short.*, after entry "large"'),
  });
});

test("bytes after the end mark are refused, zeros are not", async () => {
  const bytes = tar(...entries);
  const content = new FakeStore();
  expect(await importArchive(pieces(Buffer.concat([bytes, Buffer.alloc(9_999)])), { content })).toHaveLength(1);
  expect((await refusal(Buffer.concat([bytes, Buffer.from("x")]))).message).toMatch("other bytes follow its end mark");
  expect((await refusal(Buffer.concat([bytes, tar(...entries)]))).message).toMatch("other bytes follow its end mark");
});

test("what is no tar at all is refused", async () => {
  for (const bytes of [Buffer.from("hello".repeat(500)), Buffer.from([0x1f, 0x8b, 8, 9]), gzipSync("x".repeat(600))]) {
    expect((await refusal(bytes)).code).toBe("ERR_INVALID_DATA");
  }
});

// A gzip bomb is 1000 times as small as what comes out.
test.each([
  [
    "bytes",
    gzipSync(tar(...entries, file("big", Buffer.alloc(2_000_000)))),
    { maxBytes: 1_000_000 },
    "archive: more than 1000000 bytes (maxBytes)",
  ],
  [
    "entries",
    tar(...Array.from({ length: 101 }, (_none, at) => directory(`d${at}`))),
    { maxEntries: 100 },
    "archive: more than 100 entries (maxEntries)",
  ],
])("%s beyond the limit are refused", async (_what, bytes, options, message) => {
  expect(await refusal(bytes, options)).toMatchObject({ code: "ERR_RESOURCE_EXHAUSTED", message });
});

test("indexes in one another are read once each, and not without end", async () => {
  const content = new FakeStore();
  const nest = (depth: number): Descriptor[] => {
    const nested: Descriptor[] = [image.target];
    for (let level = 0; level < depth; level += 1) {
      // The same ten times: to go through all ways would take 10^depth steps.
      const manifests = Array.from({ length: 10 }, () => nested.at(-1));
      nested.push(content.add(mediaTypes.ociIndex, json({ schemaVersion: 2, manifests })));
    }
    return nested;
  };
  const nested = nest(8);
  const specs = [layoutEntry, indexEntry([nested.at(-1) ?? {}]), ...blobEntries(image)];
  await importArchive(pieces(tar(...specs)), { content });
  for (const { digest } of nested) expect(content.opened.get(digest)).toBe(1);
  const deeper = nest(9).at(-1) ?? {};
  await expect(importArchive(pieces(tar(layoutEntry, indexEntry([deeper]))), { content })).rejects.toMatchObject({
    code: "ERR_RESOURCE_EXHAUSTED",
  });
});

test("a descriptor with an unknown algorithm is refused as such", async () => {
  const manifests = [{ ...descriptorOf(mediaTypes.ociManifest, Buffer.alloc(0)), digest: `md5:${"a".repeat(32)}` }];
  expect(await refusal(tar(layoutEntry, indexEntry(manifests)))).toMatchObject({ code: "ERR_NOT_IMPLEMENTED" });
});
