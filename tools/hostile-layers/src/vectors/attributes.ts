import { char, dir, fifo, file, symlink } from "../build/entries.ts";
import { bad, layer, type Part } from "../build/layer.ts";
import { base256 } from "../build/numbers.ts";
import { aChar, aDir, aFifo, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;

export const gives = (name: string, about: string, tree: Tree, ...parts: readonly Part[]): HostileLayers => ({
  name: `attributes/${name}`,
  about,
  layers: [layer(...parts)],
  expect: { tree },
});

export const refuses = (name: string, about: string, rule: string, part: Buffer): HostileLayers => ({
  name: `attributes/${name}`,
  about,
  layers: [layer(dir("kept"), bad(part))],
  expect: { refused: "ERR_INVALID_DATA", rule },
});

const seconds = (value: number): bigint => BigInt(value) * 1_000_000_000n;

/** Modes, owners, times and extended attributes that are kept, left out or refused. */
export function attributeVectors(): readonly HostileLayers[] {
  return [...modes(), ...owners(), ...times(), ...otherTimes()];
}

function modes(): readonly HostileLayers[] {
  return [
    gives(
      "setuid-after-owner",
      "chown drops setuid, so it comes first (U-TAR.9, U-TAR.11)",
      { f: aFile("x", { mode: 0o6755, uid: 7, gid: 8 }) },
      file("f", "x", { mode: 0o6755, uid: 7, gid: 8 }),
    ),
    gives(
      "sticky-directory",
      "directories have all twelve bits",
      { d: aDir({ mode: 0o3777, gid: 8 }), "d/f": aFile("", { mode: 0o644, gid: 0 }) },
      dir("d", { mode: 0o3777, gid: 8 }),
      file("d/f"),
    ),
    gives(
      "type-bits",
      "old writers put the type of the file above the mode",
      { f: aFile("", { mode: 0o755 }) },
      file("f", "", { mode: 0o100755 }),
    ),
    gives(
      "none",
      "a directory that locks out everybody still gets its files",
      { d: aDir({ mode: 0 }), "d/f": aFile("x", { mode: 0 }) },
      dir("d", { mode: 0 }),
      file("d/f", "x", { mode: 0 }),
    ),
    gives(
      "fifo-mode",
      "special files have a mode of their own",
      { p: aFifo({ mode: 0o4711, uid: 3 }) },
      fifo("p", { mode: 0o4711, uid: 3 }),
    ),
    refuses("negative-mode", "base-256 has a sign", "header-number", file("f", "", { mode: base256(-1n, 8) })),
  ];
}

function owners(): readonly HostileLayers[] {
  const rule = "owner-range";
  return [
    gives(
      "largest-id",
      "the last one before the number that means no change",
      { f: aFile("", { uid: 4_294_967_294, gid: 4_294_967_294 }) },
      file("f", "", { pax: { uid: "4294967294", gid: "4294967294" } }),
    ),
    gives(
      "base-256-id",
      "GNU writes large numbers so",
      { f: aFile("", { uid: 3_000_000, gid: 4_294_967_294 }) },
      file("f", "", { uid: base256(3_000_000n, 8), gid: base256(4_294_967_294n, 8) }),
    ),
    gives(
      "names-do-not-count",
      "users of another machine",
      { f: aFile("", { uid: 7, gid: 8 }) },
      file("f", "", {
        uid: 7,
        gid: 8,
        raw: [
          [265, Buffer.from("root")],
          [297, Buffer.from("root")],
        ],
        pax: { uname: "root", gname: "root" },
      }),
    ),
    gives(
      "empty-record",
      "takes the record back, and the header counts",
      { f: aFile("", { uid: 7 }) },
      file("f", "", { uid: 7, pax: { uid: "" } }),
    ),
    refuses(
      "id-of-no-change",
      "4294967295 would leave root as the owner",
      rule,
      file("f", "", { pax: { uid: "4294967295" } }),
    ),
    refuses("group-of-no-change", "in base-256 too", rule, file("f", "", { gid: base256(4_294_967_295n, 8) })),
    refuses(
      "id-that-wraps",
      "4294967296 is 0 in 32 bits: CVE-2024-40635 and its kind",
      rule,
      file("f", "", { pax: { uid: "4294967296" }, mode: 0o4755 }),
    ),
    refuses("negative-id", "-1 is 4294967295", rule, file("f", "", { uid: base256(-1n, 8) })),
    refuses("negative-id-in-pax", "a sign is no digit", rule, file("f", "", { pax: { gid: "-1" } })),
    refuses("id-with-plus", "nor is this one", rule, file("f", "", { pax: { uid: "+1" } })),
    refuses("id-with-fraction", "only times have one", rule, file("f", "", { pax: { uid: "1.0" } })),
    refuses("id-in-hex", "numbers of records are decimal", rule, file("f", "", { pax: { uid: "0x10" } })),
    refuses("id-of-directory", "directories are looked at too", rule, dir("d", { pax: { gid: "99999999999" } })),
  ];
}

function times(): readonly HostileLayers[] {
  const at = (name: string, about: string, mtime: bigint, pax: string): HostileLayers =>
    gives(name, about, { f: aFile("", { mtime }) }, file("f", "", { pax: { mtime: pax } }));
  return [
    at("nanoseconds", "all nine digits", 1_234_567_890_123_456_789n, "1234567890.123456789"),
    at("more-digits", "the kernel has no more; not rounded", 1_123_456_789n, "1.1234567899999"),
    at("few-digits", "a fraction, not a number of nanoseconds", 1_500_000_000n, "1.5"),
    at("negative-time", "before 1970", -1_000_000_000n, "-1"),
    at("negative-fraction", "counts away from zero", -1_250_000_000n, "-1.25"),
    at("negative-zero", "half a second before 1970", -500_000_000n, "-0.5"),
    at("fraction-of-nothing", "a dot with nothing behind it", 5_000_000_000n, "5."),
    gives(
      "largest-octal",
      "11 digits: the year 2242",
      { f: aFile("", { mtime: seconds(0o77777777777) }) },
      file("f", "", { mtime: "77777777777" }),
    ),
    gives(
      "base-256-time",
      "before 1970, as GNU writes it",
      { f: aFile("", { mtime: seconds(-86_400) }) },
      file("f", "", { mtime: base256(-86_400n, 12) }),
    ),
    gives(
      "beyond-the-filesystem",
      "the kernel takes the last time it can keep",
      { f: aFile("x") },
      file("f", "x", { pax: { mtime: "99999999999999" } }),
    ),
  ];
}

function otherTimes(): readonly HostileLayers[] {
  return [
    gives(
      "of-every-type",
      "links, fifos and devices have nanoseconds too",
      {
        l: aLink("x", { mtime: 5_000_000_007n }),
        p: aFifo({ mtime: 6_000_000_007n }),
        c: aChar("1:3", { mtime: 7_000_000_007n }),
      },
      symlink("l", "x", { pax: { mtime: "5.000000007" } }),
      fifo("p", { pax: { mtime: "6.000000007" } }),
      char("c", 1, 3, { pax: { mtime: "7.000000007" } }),
    ),
    gives(
      "directories-last",
      "what is made in a directory afterwards leaves its time",
      {
        d: aDir({ mtime: 5_000_000_000n }),
        "d/e": aDir({ mtime: 6_000_000_000n }),
        "d/e/f": aFile(""),
        "d/f": aFile(""),
      },
      dir("d", { mtime: 5 }),
      dir("d/e", { mtime: 6 }),
      file("d/e/f"),
      file("d/f"),
    ),
    refuses("time-in-words", "now is no number", "time-range", file("f", "", { pax: { mtime: "now" } })),
    refuses(
      "time-beyond-2^53",
      "cannot be kept as it is",
      "time-range",
      file("f", "", { pax: { mtime: "9007199254740993" } }),
    ),
    refuses(
      "base-256-time-beyond",
      "the largest of 64 bits",
      "header-number",
      file("f", "", { mtime: base256(9_223_372_036_854_775_807n, 12) }),
    ),
    refuses("time-without-seconds", "a fraction of nothing", "time-range", file("f", "", { pax: { mtime: ".5" } })),
  ];
}
