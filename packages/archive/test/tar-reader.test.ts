import { describe, expect, test } from "vitest";
import { type Read, read } from "./read-tar.ts";
import { dir, entry, extended, file, record as paxRecord, type Spec, symlink, tar } from "./tar-builder.ts";

const one = (archive: Buffer): Read => {
  const [first] = read(archive);
  if (first === undefined) throw new Error("no entry");
  return first;
};
const field = (offset: number, text: string): Pick<Spec, "raw"> => ({ raw: [[offset, Buffer.from(text, "latin1")]] });
const end = Buffer.alloc(1024);

describe("reader", () => {
  test("gives entries with all their fields", () => {
    const spec = { ...file("dir/name", "content"), mode: 0o4751, uid: 1234, gid: 5678, mtime: 1_234_567_890 };
    expect(one(tar(spec))).toMatchObject({
      type: "file",
      mode: 0o4751,
      uid: 1234,
      gid: 5678,
      size: 7,
      offset: 0,
      atime: undefined,
      mtime: { seconds: 1_234_567_890, nanoseconds: 0 },
      name: Buffer.from("dir/name"),
      content: Buffer.from("content"),
    });
    expect(one(tar({ name: "c", type: "3", major: 7, minor: 9 }))).toMatchObject({
      type: "char",
      deviceMajor: 7,
      deviceMinor: 9,
    });
    expect(one(tar(symlink("to", "l")))).toMatchObject({ type: "symlink", linkName: Buffer.from("to") });
    expect(
      read(tar(file("7", "x", { type: "7" }), file("v7", "x", { type: "\0", magic: "\0\0\0\0\0\0\0\0" }))),
    ).toMatchObject([{ type: "file" }, { type: "file", name: Buffer.from("v7") }]);
    expect(one(tar(file("old/", "", { type: "\0" })))).toMatchObject({ type: "directory" });
  });

  test("keeps names and attribute values as bytes", () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x2f, 0x80, 0x0a]);
    const value = Buffer.from([0, 1, 0x0a, 0xff, 0x3d]);
    expect(one(tar(file(bytes))).name).toEqual(bytes);
    const long = Buffer.concat([bytes, Buffer.alloc(200, 0xc0)]);
    const found = one(
      tar({ ...file(long, "x"), pax: { "SCHILY.xattr.security.capability": value, "SCHILY.xattr.user.empty": "" } }),
    );
    expect(found.name).toEqual(long);
    expect([...found.xattrs]).toEqual([
      ["security.capability", value],
      ["user.empty", Buffer.alloc(0)],
    ]);
  });

  test("applies extended headers over the header", () => {
    const pax = {
      path: "p",
      linkpath: "l",
      uid: "4294967294",
      gid: "3000000",
      mtime: "-1.25",
      atime: "12.123456789123",
      size: "3",
    };
    expect(one(Buffer.concat([entry({ ...file("x", "abc"), pax }), end]))).toMatchObject({
      uid: 4_294_967_294,
      gid: 3_000_000,
      size: 3,
      content: Buffer.from("abc"),
      name: Buffer.from("p"),
      mtime: { seconds: -2, nanoseconds: 750_000_000 },
      atime: { seconds: 12, nanoseconds: 123_456_789 },
    });
  });

  test("ignores global extended headers that change no entry", () => {
    const archive = Buffer.concat([
      extended("g", [
        ["comment", "0123456789abcdef"],
        ["mtime", "7"],
      ]),
      entry(file("right", "x", { mtime: 5 })),
      end,
    ]);
    expect(read(archive)).toMatchObject([{ name: Buffer.from("right"), mtime: { seconds: 5 } }]);
  });

  test("reads what git archive and star write: a global header for the archive, then one for the entry", () => {
    const archive = Buffer.concat([
      extended("g", [
        ["comment", "0123456789abcdef"],
        ["SCHILY.archtype", "exustar"],
        ["SCHILY.release", "star 1.6"],
        ["SCHILY.volhdr.blocksize", "20"],
      ]),
      extended("x", [["path", "right"]]),
      entry(file("wrong", "x")),
      end,
    ]);
    expect(one(archive)).toMatchObject({ name: Buffer.from("right"), offset: expect.any(Number) });
  });

  test("reads GNU long names and links", () => {
    const name = "n".repeat(5000);
    const archive = Buffer.concat([
      entry({ name: "././@LongLink", type: "L", content: `${name}\0` }),
      entry({ name: "././@LongLink", type: "K", content: "target\0" }),
      entry(symlink("cut", "cut")),
      end,
    ]);
    expect(one(archive)).toMatchObject({ name: Buffer.from(name), linkName: Buffer.from("target"), offset: 0 });
  });

  test("reads base-256 numbers", () => {
    const negative = Buffer.alloc(12, 0xff);
    const size = Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    const uid = Buffer.from([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe]);
    const spec: Spec = {
      ...file("f", "abc"),
      raw: [
        [136, negative],
        [124, size],
        [108, uid],
      ],
    };
    expect(one(tar(spec))).toMatchObject({ mtime: { seconds: -1 }, size: 3, uid: 0xffff_fffe });
  });

  test("reads the prefix of ustar, of star, and where old Go writers put it", () => {
    // C-TAR.63
    const prefix: readonly [number, Buffer] = [345, Buffer.from("very/long")];
    expect(one(tar({ ...file("name"), raw: [prefix] })).name.toString()).toBe("very/long/name");
    const star: Spec = {
      ...file("name"),
      raw: [prefix, [508, Buffer.from("tar\0")], [476, Buffer.from("00000000012 ")]],
    };
    expect(one(tar(star)).name.toString()).toBe("very/long/name");
    expect(one(tar({ ...file("name"), raw: [prefix], magic: "ustar  \0" })).name.toString()).toBe("very/long/name");
    expect(one(tar({ ...file("name"), ...field(345, "00000000017\0"), magic: "ustar  \0" }))).toMatchObject({
      name: Buffer.from("name"),
      atime: { seconds: 15 },
    });
  });

  test("takes no content for directories, whatever their size says", () => {
    const found = read(tar(dir("d", { size: 512 }), file("after", "x")));
    expect(found.map(({ name, size }) => [name.toString(), size])).toEqual([
      ["d", 0],
      ["after", 1],
    ]);
  });

  test("stops at the end mark and ignores what follows", () => {
    expect(read(Buffer.concat([tar(file("a")), tar(file("b")), Buffer.from("junk")])).length).toBe(1);
    expect(read(tar())).toEqual([]);
    expect(read(Buffer.alloc(0))).toEqual([]);
    expect(read(entry(file("without an end mark", "x"))).length).toBe(1);
    expect(read(Buffer.concat([entry(file("half an end mark", "x")), Buffer.alloc(512)])).length).toBe(1);
  });

  const extension = (content: string | Buffer): Buffer =>
    Buffer.concat([entry({ name: "x", type: "x", content }), entry(file("f")), end]);
  const wrong: readonly (readonly [string, Buffer])[] = [
    ["a wrong checksum", Buffer.concat([Buffer.from(tar(file("a"))).fill("b", 0, 1)])],
    ["random bytes", Buffer.alloc(2048, 7)],
    ["a mode that is no number", tar({ ...file("a"), ...field(100, "abc") })],
    ["junk after a number", tar({ ...file("a"), ...field(124, "3 7") })],
    ["a digit that is not octal", tar({ ...file("a"), ...field(108, "0000008\0") })],
    ["a negative number", tar({ ...file("a"), ...field(108, "-000001\0") })],
    ["a negative size", tar({ ...file("a"), raw: [[124, Buffer.alloc(12, 0xff)]] })],
    ["a size beyond 2^53", tar({ ...file("a"), raw: [[124, Buffer.from([0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])]] })],
    ["an owner beyond 32 bits", tar({ ...file("a"), pax: { uid: "4294967296" } })],
    ["the owner that means nobody", tar({ ...file("a"), pax: { gid: "4294967295" } })],
    ["an owner with a sign", tar({ ...file("a"), pax: { uid: "+1" } })],
    ["a size that is no number", tar({ ...file("a"), pax: { size: "1e3" } })],
    ["a time that is no number", tar({ ...file("a"), pax: { mtime: "now" } })],
    ["a NUL in a path", tar({ ...file("a"), pax: { path: "a\0b" } })],
    ["a record that is too long", extension("99 path=q\n")],
    ["a record without a newline", extension("8 path=qx")],
    ["a record without an equals sign", extension("7 path\n")],
    ["a record without a key", extension("5 =v\n")],
    ["a record without a length", extension(" path=q\n")],
    ["a record with a length of zero", extension("0 path=q\n")],
    ["rubbish after the records", extension(Buffer.concat([paxRecord("path", "q"), Buffer.from("\0")]))],
    ["an extended header of nothing", Buffer.concat([extended("x", [["path", "q"]]), end])],
    ["one block of zeros in between", Buffer.concat([entry(file("a")), Buffer.alloc(512), entry(file("b")), end])],
    ["a header cut short", tar(file("a")).subarray(0, 300)],
    ["content cut short", tar(file("a", "x".repeat(600))).subarray(0, 1000)],
    ["padding cut short", tar(file("a", "x")).subarray(0, 600)],
  ];

  test.each(wrong)("refuses %s", (_name, archive) => {
    for (const size of [1, 100, archive.length]) {
      expect(() => read(archive, [size])).toThrow(expect.objectContaining({ code: "ERR_INVALID_DATA" }));
    }
  });

  test("says where the archive is wrong", () => {
    const archive = Buffer.concat([entry(file("a", "x")), Buffer.alloc(512, 1)]);
    expect(() => read(archive)).toThrow("layer: at byte 1024: header checksum is wrong (header-checksum)");
    const second = tar(file("a"), { ...file("b\n"), pax: { uid: "-1" } });
    for (const size of [1, 700, second.length]) {
      expect(() => read(second, [size], undefined, "layer sha256:ab")).toThrow(
        String.raw`layer sha256:ab: entry "b\x0a" at byte 512: uid out of range (owner-range)`,
      );
    }
    expect(() => read(tar(file("cut", "x".repeat(600))).subarray(0, 1000))).toThrow(
      'layer: entry "cut" at byte 1000: the archive ends too early (archive-end)',
    );
  });

  // Volume header, dump directory, part of a file, long name of old GNU tar, Solaris' extended header, star's and others' own.
  test.each(["V", "D", "M", "N", "X", "E", "A", "I", "8", "s"])(
    "refuses the type %s, as container engines do",
    (type) => {
      expect(() => read(tar(file("a", "content", { type })))).toThrow(
        expect.objectContaining({
          code: "ERR_NOT_IMPLEMENTED",
          message: `layer: entry "a" at byte 0: type "${type}" is not supported (entry-type)`,
        }),
      );
    },
  );

  test("takes a contiguous file for a file, as POSIX asks", () => {
    expect(read(tar(file("a", "content", { type: "7" })))).toMatchObject([{ type: "file", size: 7 }]);
  });

  test("refuses headers beyond the limit", () => {
    const long = entry({ name: "x", type: "L", content: "n".repeat(3000) });
    expect(() => read(Buffer.concat([long, entry(file("a")), end]), [512], 2999)).toThrow(
      expect.objectContaining({ code: "ERR_RESOURCE_EXHAUSTED", message: expect.stringContaining("headerBytes") }),
    );
    const huge = entry({ name: "x", type: "x", size: 2 ** 33 - 1 });
    expect(() => read(huge)).toThrow(expect.objectContaining({ code: "ERR_RESOURCE_EXHAUSTED" }));
  });
});
