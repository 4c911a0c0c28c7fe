import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createTarWriter, type SparsePiece, type TarEntryInit, type TarType } from "@varve/archive";
import {
  type Arbitrary,
  array,
  assert,
  constantFrom,
  integer,
  nat,
  property,
  record,
  sample as samples,
  tuple,
  uint8Array,
} from "fast-check";
import { extract } from "tar-stream";
import { expect, test } from "vitest";
import { type Read, read } from "./read-tar.ts";

const none = new Uint8Array(0);
const usual = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 1_600_000_000, nanoseconds: 0 } };
const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

interface Written {
  readonly init: TarEntryInit;
  readonly content: Uint8Array;
}

/** An archive of entries, the content of each given in two pieces. */
function write(...entries: readonly Written[]): Buffer {
  const blocks: Buffer[] = [];
  const writer = createTarWriter((block) => void blocks.push(Buffer.from(block)));
  for (const { init, content } of entries) {
    writer.entry(init);
    writer.data(content.subarray(0, 3));
    writer.data(content.subarray(3));
  }
  writer.end();
  return Buffer.concat(blocks);
}

function writeOne(init: Partial<TarEntryInit>): Buffer {
  return write({ init: { ...usual, name: bytes("x"), type: "file", ...init }, content: new Uint8Array(0) });
}

/** What the reader makes of an entry that was written. */
function expected({ init, content }: Written): Read {
  return {
    offset: expect.any(Number) as number,
    name: Buffer.from(init.name),
    type: init.type,
    mode: init.mode,
    uid: init.uid,
    gid: init.gid,
    mtime: init.mtime,
    atime: undefined,
    sparse: false,
    size: init.size ?? 0,
    linkName: Buffer.from(init.linkName ?? []),
    deviceMajor: init.deviceMajor ?? 0,
    deviceMinor: init.deviceMinor ?? 0,
    xattrs: new Map([...(init.xattrs ?? [])].map(([key, value]) => [key, Buffer.from(value)])),
    content: Buffer.from(content),
  };
}

const byte = integer({ min: 1, max: 255 });
const part = (most: number): Arbitrary<Buffer> =>
  array(
    byte.filter((value) => value !== 0x2f),
    { minLength: 1, maxLength: most },
  ).map((values) => Buffer.from(values));
// Lengths around those that ustar can hold, by repeating a part.
const path: Arbitrary<Buffer> = array(tuple(part(3), integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 5 }).map(
  (names) => Buffer.from(names.map(([each, times]) => each.toString("latin1").repeat(times)).join("/"), "latin1"),
);
const id = constantFrom(0, 1000, 0o7_777_777, 0o10_000_000, 0xffff_fffe);
const time = record({
  seconds: constantFrom(0, 1, -1, -2, 1_600_000_000, 0o77_777_777_777, 0o100_000_000_000, -(2 ** 40)),
  nanoseconds: constantFrom(0, 0, 1, 500_000_000, 999_999_999, 120),
});
const attributes = array(
  tuple(
    part(20).filter((name) => !name.includes(0x3d)),
    uint8Array({ maxLength: 600 }),
  ),
  { maxLength: 3 },
).map((pairs) => new Map(pairs.map(([name, value]) => [name.toString("latin1"), value])));

const written: Arbitrary<Written> = tuple(
  constantFrom<TarType>("file", "file", "directory", "symlink", "hardlink", "char", "block", "fifo"),
  record({ name: path, mode: nat(0o7777), uid: id, gid: id, mtime: time, xattrs: attributes }),
  path,
  uint8Array({ maxLength: 1100 }),
  tuple(nat(0o7_777_777), nat(0o7_777_777)),
).map(([type, init, linkName, content, [deviceMajor, deviceMinor]]) => {
  if (type === "file") return { init: { ...init, type, size: content.length }, content };
  // By custom, and only there.
  if (type === "directory")
    return { init: { ...init, type, name: Buffer.concat([init.name, bytes("/")]) }, content: none };
  if (type === "symlink" || type === "hardlink") return { init: { ...init, type, linkName }, content: none };
  const device = type === "char" || type === "block" ? { deviceMajor, deviceMinor } : {};
  return { init: { ...init, type, ...device }, content: none };
});

// G-64
test("the reader gives back any entry as it was written, byte for byte", () => {
  assert(
    property(array(written, { maxLength: 4 }), (entries) => {
      const archive = write(...entries);
      expect(archive.length % 512).toBe(0);
      expect(read(archive)).toEqual(entries.map(expected));
    }),
    { numRuns: 150 },
  );
});

test("an entry that ustar can hold has one header and no extended one", () => {
  const [name, long] = [bytes("a".repeat(100)), bytes(`${"p".repeat(155)}/${"n".repeat(100)}`)];
  for (const init of [
    { name },
    { name: long },
    { uid: 0o7_777_777 },
    { mtime: { seconds: 0o77_777_777_777, nanoseconds: 0 } },
  ]) {
    const archive = writeOne(init);
    expect(archive.length).toBe(3 * 512);
    expect(archive.toString("latin1", 156, 157)).toBe("0");
  }
});

test("an extended header has the records that are needed and no others, in a fixed order", () => {
  const xattrs = new Map([
    ["user.b", bytes("2")],
    ["user.a", bytes("\0\n=\u00ff")],
  ]);
  const archive = writeOne({
    name: bytes("n".repeat(101)),
    uid: 3_000_000,
    mtime: { seconds: -1, nanoseconds: 250_000_000 },
    xattrs,
  });
  const size = Number.parseInt(archive.toString("latin1", 124, 136), 8);
  expect(archive.toString("latin1", 512, 512 + size)).toBe(
    `111 path=${"n".repeat(101)}\n15 uid=3000000\n15 mtime=-0.75\n28 SCHILY.xattr.user.a=\0\n=\u00ff\n25 SCHILY.xattr.user.b=2\n`,
  );
});

test("records around a change of their own length's digits are right", () => {
  for (let length = 80; length < 1100; length += 1) {
    const name = Buffer.alloc(length, "x");
    expect(read(writeOne({ name }))[0]?.name).toEqual(name);
  }
});

test("a size of more than 8 GiB is in an extended header, and must be met", () => {
  let length = 0;
  const hash = createHash("sha256");
  const writer = createTarWriter((block) => {
    if (length < 4096) hash.update(block);
    length += block.length;
  });
  writer.entry({ ...usual, name: bytes("x"), type: "file", size: 2 ** 33 + 1 });
  expect(length).toBe(3 * 512);
  expect(() => writer.end()).toThrowError(/^tar writer: entry "x": 8589934593 bytes of content are missing$/);
  expect(() => writer.entry({ ...usual, name: bytes("y"), type: "fifo" })).toThrowError(/are missing/);
});

const piece = (offset: number, length: number): SparsePiece => ({ offset, length });

test("what is left out of a sparse file is zeros, and must be left out", () => {
  const name = Buffer.from(`${"d".repeat(120)}/\u00e9`);
  const sparse = { ...usual, name, type: "file", uid: 3_000_000 } as const;
  const cases: readonly (readonly [size: number, pieces: readonly SparsePiece[]])[] = [
    [0, []],
    [700, []],
    [700, [piece(0, 700)]],
    [700, [piece(0, 1), piece(1, 2), piece(10, 0), piece(690, 10)]],
    [70_000, Array.from({ length: 200 }, (_, at) => piece(at * 350, 7))],
  ];
  for (const [size, pieces] of cases) {
    const stored = pieces.reduce((sum, { length }) => sum + length, 0);
    const content = Buffer.alloc(stored, "x");
    const whole = Buffer.alloc(size);
    for (const { offset, length } of pieces) whole.fill("x", offset, offset + length);
    const archive = write(
      { init: { ...sparse, size, pieces }, content },
      { init: { ...usual, name: bytes("y"), type: "fifo" }, content: none },
    );
    expect(read(archive, [1000])).toMatchObject([
      { name, size, sparse: true, uid: 3_000_000, content: whole },
      { name: bytes("y"), sparse: false },
    ]);
    expect(() => write({ init: { ...sparse, size, pieces }, content: Buffer.alloc(stored + 1) })).toThrowError(
      /more content/,
    );
  }
});

const refused: readonly (readonly [why: string, init: Partial<TarEntryInit>])[] = [
  ["no name", { name: bytes("") }],
  ["a zero byte in the name", { name: bytes("a\0b") }],
  ["a file with a slash at the end of its name", { name: bytes("a/") }],
  ["a link without a target", { type: "symlink" }],
  ["a target that is no link's", { linkName: bytes("x") }],
  ["a zero byte in a target", { type: "hardlink", linkName: bytes("x\0") }],
  ["a directory with content", { type: "directory", size: 1 }],
  ["a negative size", { size: -1 }],
  ["a broken size", { size: 1.5 }],
  ["an owner beyond 32 bits", { uid: 0xffff_ffff }],
  ["a mode with a type in it", { mode: 0o100644 }],
  ["a time with a whole second of nanoseconds", { mtime: { seconds: 0, nanoseconds: 1_000_000_000 } }],
  ["a device number too large for the field", { type: "char", deviceMajor: 0o10_000_000 }],
  ["a file with a device number", { deviceMinor: 1 }],
  ["an attribute with an equals sign in its name", { xattrs: new Map([["user.a=b", bytes("")]]) }],
  ["an attribute whose name is no bytes", { xattrs: new Map([["user.\u0141", bytes("")]]) }],
  ["pieces that overlap", { size: 10, pieces: [piece(0, 5), piece(4, 5)] }],
  ["pieces in the wrong order", { size: 10, pieces: [piece(5, 5), piece(0, 5)] }],
  ["a piece beyond the end", { size: 10, pieces: [piece(5, 6)] }],
  ["a piece of a negative length", { size: 10, pieces: [piece(5, -1)] }],
  ["half a piece", { size: 10, pieces: [piece(0.5, 1)] }],
  ["pieces of what is no file", { type: "fifo", pieces: [] }],
  [
    "more pieces than other readers take",
    { size: 2 ** 40, pieces: Array.from({ length: 90_000 }, (_, at) => piece(at * 2 ** 24, 1)) },
  ],
  ["an attribute without a name", { xattrs: new Map([["", bytes("")]]) }],
  ["more attributes than other readers take", { xattrs: new Map([["user.a", Buffer.alloc(1024 * 1024)]]) }],
];

test.each(refused)("%s is refused", (_, init) => {
  expect(() => writeOne(init)).toThrowError(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
});

test("content beyond the size, and anything after the end, is refused", () => {
  const writer = createTarWriter(() => undefined);
  writer.entry({ ...usual, name: bytes("x"), type: "file", size: 2 });
  const code = "ERR_FAILED_PRECONDITION";
  expect(() => writer.data(bytes("abc"))).toThrowError(expect.objectContaining({ code }));
  writer.data(bytes("ab"));
  writer.end();
  expect(() => writer.end()).toThrowError(expect.objectContaining({ code }));
});

const word = constantFrom("a", "bin", "\u00e9t\u00e9", "n".repeat(90), "x".repeat(150));
const names = array(word, { minLength: 1, maxLength: 4 }).map((words) => Buffer.from(words.join("/")));

test("tar-stream reads the same names, types, sizes, links and content", async () => {
  const entries = array(
    tuple(names, constantFrom<TarType>("file", "directory", "symlink", "hardlink", "fifo"), uint8Array()),
    { maxLength: 5 },
  );
  for (const sample of samples(entries, 40)) {
    const all = sample.map(([name, type, content]): Written => {
      const init = { ...usual, name, type };
      if (type === "file") return { init: { ...init, size: content.length }, content };
      return {
        init: type === "symlink" || type === "hardlink" ? { ...init, linkName: name } : init,
        content: content.subarray(0, 0),
      };
    });
    const found: unknown[] = [];
    const stream = extract();
    stream.end(write(...all));
    for await (const entry of stream) {
      const parts: Buffer[] = [];
      for await (const chunk of entry) parts.push(Buffer.from(chunk as Uint8Array));
      const { name, type, size, linkname, mode } = entry.header;
      found.push({ name, type, size, linkname: linkname ?? "", mode, content: Buffer.concat(parts).toString("hex") });
    }
    expect(found).toEqual(
      all.map(({ init, content }) => ({
        // It takes slashes at the end away.
        name: Buffer.from(init.name).toString(),
        type: init.type === "hardlink" ? "link" : init.type,
        size: content.length,
        linkname: Buffer.from(init.linkName ?? []).toString(),
        mode: 0o644,
        content: Buffer.from(content).toString("hex"),
      })),
    );
  }
});

test("GNU tar lists names, owners, sizes and times as they were given", () => {
  const entries: Written[] = [
    { init: { ...usual, name: bytes("short"), type: "file", size: 3 }, content: bytes("abc") },
    {
      init: { ...usual, name: bytes(`${"d".repeat(200)}/\u00ff\u00fe`), type: "file", uid: 3_000_000, gid: 7 },
      content: bytes(""),
    },
    {
      init: { ...usual, name: bytes("old"), type: "fifo", mtime: { seconds: -2, nanoseconds: 0 } },
      content: bytes(""),
    },
    { init: { ...usual, name: bytes("dev"), type: "block", deviceMajor: 8, deviceMinor: 300_000 }, content: bytes("") },
    { init: { ...usual, name: bytes("link"), type: "symlink", linkName: bytes("t".repeat(120)) }, content: bytes("") },
  ];
  const { stdout, stderr } = spawnSync("tar", ["-tv", "--numeric-owner", "--full-time", "--quoting-style=escape"], {
    input: write(...entries),
    env: { ...process.env, TZ: "UTC", LC_ALL: "C" },
    encoding: "latin1",
  });
  expect(stderr).toBe("");
  expect(stdout.replaceAll(/ +/g, " ").trim().split("\n")).toEqual([
    "-rw-r--r-- 0/0 3 2020-09-13 12:26:40 short",
    `-rw-r--r-- 3000000/7 0 2020-09-13 12:26:40 ${"d".repeat(200)}/\\377\\376`,
    "prw-r--r-- 0/0 0 1969-12-31 23:59:58 old",
    "brw-r--r-- 0/0 8,300000 2020-09-13 12:26:40 dev",
    `lrw-r--r-- 0/0 0 2020-09-13 12:26:40 link -> ${"t".repeat(120)}`,
  ]);
});
