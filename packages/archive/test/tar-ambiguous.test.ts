import { createTarReader } from "@varve/archive";
import { describe, expect, test } from "vitest";
import { read } from "./read-tar.ts";
import { dir, entry, extended, file, hardlink, record, type Spec, symlink, tar } from "./tar-builder.ts";

const end = Buffer.alloc(1024);
const raw = (...parts: readonly Buffer[]): Buffer => Buffer.concat([...parts, end]);
const long = (type: "K" | "L", text: string): Buffer => entry({ name: "././@LongLink", type, content: text });
const global = (key: string): Buffer => raw(extended("g", [[key, "7"]]), entry(file("f", "x")));
const sparse = (pax: Readonly<Record<string, string>>, more: Partial<Spec> = {}): Buffer =>
  tar({ ...file("x", "abcde"), ...more, pax });
const twice = { "GNU.sparse.size": "9", "GNU.sparse.map": "0,5" };

// Each of these is read in two ways by readers that are in use.
const refused: readonly (readonly [what: string, rule: string, archive: Buffer])[] = [
  // CVE-2025-62518
  [
    "a size in the extended header where the header has none",
    "size-twice",
    tar({ ...file("f", "x", { size: 0 }), pax: { size: "1" } }),
  ],
  ["a size of zero in the extended header", "size-twice", tar({ ...file("f", "x"), pax: { size: "0" } })],
  ["a large size where the header has another", "size-twice", tar({ ...file("f", "x"), pax: { size: "8589934592" } })],
  [
    "a size that octal digits could say, and all sevens",
    "size-twice",
    tar({ ...file("f", "x", { size: 2 ** 33 - 1 }), pax: { size: "5" } }),
  ],
  ["a symbolic link with a size", "size-without-content", tar({ ...symlink("x", "l"), size: 512 }, file("hidden"))],
  ["a hard link with a size", "size-without-content", tar({ ...hardlink("x", "h"), size: 512 }, file("hidden"))],
  ["a device with a size", "size-without-content", tar({ name: "c", type: "3", major: 1, size: 1 })],
  ["a fifo with a size", "size-without-content", tar({ name: "p", type: "6", size: 1 })],
  ["an old directory with a size", "size-without-content", tar({ name: "d/", type: "\0", size: 512 })],
  [
    "a directory with a size in the extended header",
    "size-without-content",
    tar({ ...dir("d", { size: 512 }), pax: { size: "512" } }),
  ],
  ["a file whose name ends with a slash", "name-slash", tar(file("d/", "content"))],
  [
    "an extended header that makes a file's name end with a slash",
    "name-slash",
    tar({ ...file("f"), pax: { path: "d/" } }),
  ],
  [
    "two extended headers before one entry",
    "header-order",
    raw(extended("x", [["path", "a"]]), extended("x", [["uid", "1"]]), entry(file("f"))),
  ],
  ["two long names before one entry", "header-order", raw(long("L", "a\0"), long("L", "b\0"), entry(file("f")))],
  [
    "two long links before one entry",
    "header-order",
    raw(long("K", "a\0"), long("K", "b\0"), entry(symlink("x", "l"))),
  ],
  [
    "a global extended header between an entry's own and the entry",
    "header-order",
    raw(extended("x", [["path", "a"]]), extended("g", [["comment", "x"]]), entry(file("f"))),
  ],
  [
    "a long name and another in the extended header",
    "name-twice",
    raw(long("L", "a\0"), extended("x", [["path", "b"]]), entry(file("f"))),
  ],
  [
    "a long link and another in the extended header",
    "name-twice",
    raw(extended("x", [["linkpath", "b"]]), long("K", "a\0"), entry(symlink("x", "l"))),
  ],
  [
    "a long name and that of a sparse file",
    "name-twice",
    raw(
      long("L", "a\0"),
      extended("x", [...Object.entries(twice), ["GNU.sparse.name", "b"]]),
      entry(file("f", "abcde")),
    ),
  ],
  ["an empty long name", "name-twice", raw(long("L", "\0"), entry(file("f")))],
  ["a long name of nothing", "name-twice", raw(long("L", ""), entry(file("f")))],
  ["a long name with a NUL inside", "name-nul", raw(long("L", "a\0b\0"), entry(file("f")))],
  ["an attribute's name with a NUL", "name-nul", tar({ ...file("f"), pax: { "SCHILY.xattr.user.a\0b": "x" } })],
  ["an attribute without a name", "xattr", tar({ ...file("f"), pax: { "SCHILY.xattr.": "x" } })],
  [
    "one record with two values",
    "pax-twice",
    raw(
      entry({ name: "x", type: "x", content: Buffer.concat([record("path", "a"), record("path", "b")]) }),
      entry(file("f")),
    ),
  ],
  ["a global path", "pax-global", global("path")],
  ["a global link target", "pax-global", global("linkpath")],
  ["a global size", "pax-global", global("size")],
  ["a global owner", "pax-global", global("uid")],
  ["a global attribute", "pax-global", global("SCHILY.xattr.user.a")],
  ["a global size of star", "pax-global", global("SCHILY.realsize")],
  ["a global map of a sparse file", "pax-global", global("GNU.sparse.map")],
  [
    "a malformed global extended header",
    "pax-record",
    raw(entry({ name: "g", type: "g", content: "99 path=q\n" }), entry(file("f"))),
  ],
  [
    "a sparse file with two maps",
    "sparse-map",
    raw(
      extended("x", [
        ["GNU.sparse.size", "9"],
        ["GNU.sparse.map", "0,5"],
        ["GNU.sparse.offset", "0"],
        ["GNU.sparse.numbytes", "5"],
      ]),
      entry(file("f", "abcde")),
    ),
  ],
  [
    "a map in the records and one in the content",
    "sparse-map",
    sparse({ ...twice, "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" }),
  ],
  ["a sparse file with two sizes", "size-twice", sparse({ ...twice, "GNU.sparse.realsize": "10" })],
  [
    "a sparse file with another number of pieces than it says",
    "sparse-map",
    sparse({ ...twice, "GNU.sparse.numblocks": "2" }),
  ],
  [
    "lengths before offsets",
    "sparse-map",
    raw(
      extended("x", [
        ["GNU.sparse.size", "9"],
        ["GNU.sparse.numbytes", "5"],
        ["GNU.sparse.offset", "0"],
      ]),
      entry(file("f", "abcde")),
    ),
  ],
  ["the name of a sparse file that is none", "sparse-map", sparse({ "GNU.sparse.name": "other" })],
  ["a sparse directory", "sparse-map", tar({ ...dir("d"), pax: twice })],
  [
    "a sparse file in old and new form",
    "sparse-map",
    tar({ ...file("f", "", { type: "S" }), pax: { "GNU.sparse.size": "0" } }),
  ],
  [
    "a negative size of an old sparse file",
    "header-number",
    tar({ ...file("f", "", { type: "S" }), raw: [[483, Buffer.alloc(12, 0xff)]] }),
  ],
];

describe("what readers understand differently", () => {
  test.each(refused)("%s is refused: %s", (_what, rule, archive) => {
    for (const size of [1, 300, archive.length]) {
      expect(() => read(archive, [size])).toThrow(
        expect.objectContaining({
          code: "ERR_INVALID_DATA",
          message: expect.stringMatching(new RegExp(`^layer: (?:entry ".*" )?at byte 0: .* \\(${rule}\\)$`)),
        }),
      );
    }
  });

  test.each([
    ["2.0", { "GNU.sparse.major": "2", "GNU.sparse.minor": "0" }],
    ["1.1", { "GNU.sparse.major": "1", "GNU.sparse.minor": "1", "GNU.sparse.realsize": "5" }],
  ])("a sparse file of the unknown form %s is refused", (_version, pax) => {
    expect(() => read(sparse(pax))).toThrow(
      expect.objectContaining({ code: "ERR_NOT_IMPLEMENTED", message: expect.stringContaining("(sparse-version)") }),
    );
  });
});

describe("what all readers understand alike", () => {
  // GNU tar, Go and Python write zero into a header that cannot say the size, others all sevens or the size in base 256.
  const base256 = Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
  test.each([
    ["zero", [124, Buffer.from("00000000000\0")]],
    ["all sevens", [124, Buffer.from("77777777777\0")]],
    ["the size in base 256", [124, base256]],
  ] as const)("a size of 8 GiB in the extended header, and in the header %s", (_what, patch) => {
    const sizes: number[] = [];
    const reader = createTarReader({
      entry: ({ size }) => sizes.push(size),
      data: () => undefined,
      done: () => undefined,
    });
    reader.write(entry({ ...file("f"), pax: { size: "8589934592" }, raw: [patch] }));
    expect(sizes).toEqual([2 ** 33]);
  });

  test("one size twice, one name twice, one value twice", () => {
    const name = "n".repeat(120);
    const archive = raw(
      long("L", `${name}\0\0\0`),
      entry({
        name: "x",
        type: "x",
        content: Buffer.concat([record("size", "3"), record("path", name), record("uid", "7"), record("uid", "7")]),
      }),
      entry(file("cut", "abc")),
    );
    expect(read(archive)).toMatchObject([{ name: Buffer.from(name), uid: 7, content: Buffer.from("abc") }]);
  });

  test("an extended header says nothing about the long name behind it", () => {
    // CVE-2026 advisories of tar-rs, astral-tokio-tar and node-tar: its size was taken for that of the long name.
    const archive = raw(extended("x", [["size", "3"]]), long("L", `${"n".repeat(600)}\0`), entry(file("cut", "abc")));
    expect(read(archive)).toMatchObject([{ name: Buffer.from("n".repeat(600)), content: Buffer.from("abc") }]);
  });

  test("an empty record, which takes itself back", () => {
    expect(read(tar({ ...file("f", "abc"), pax: { size: "", path: "" } }))).toMatchObject([
      { name: Buffer.from("f"), size: 3 },
    ]);
  });

  test("a sparse file with very many pieces", () => {
    const count = 200_000;
    const text = `${count}\n${"0\n0\n".repeat(count)}`;
    const content = Buffer.concat([Buffer.from(text), Buffer.alloc(-text.length & 511), Buffer.from("")]);
    const pax = { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4" };
    expect(read(tar({ ...file("f", content), pax }))).toMatchObject([{ size: 4, content: Buffer.alloc(4) }]);
  });
});
