import { entry, file } from "../build/entries.ts";
import { gnuMagic, header, type HeaderInit } from "../build/header.ts";
import { bad, layer, type Part } from "../build/layer.ts";
import { base256 } from "../build/numbers.ts";
import { aDir, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers, Refusal } from "../types.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;
const after = file("after", "x");

export const gives = (name: string, about: string, tree: Tree, ...parts: readonly Part[]): HostileLayers => ({
  name: `headers/${name}`,
  about,
  layers: [layer(...parts, after)],
  expect: { tree: { ...tree, after: aFile("x") } },
});

export const refuses = (
  name: string,
  about: string,
  rule: string,
  parts: readonly Buffer[],
  refused: Refusal["refused"] = "ERR_INVALID_DATA",
): HostileLayers => ({
  name: `headers/${name}`,
  about,
  layers: [layer(file("kept"), bad(...parts), after)],
  expect: { refused, rule },
});

const number = (name: string, about: string, init: Omit<HeaderInit, "name">): HostileLayers =>
  refuses(name, about, "header-number", [header({ ...init, name: "f" })]);

/** Header blocks: checksums, numbers, types, sizes, and where the archive ends. */
export function headerVectors(): readonly HostileLayers[] {
  return [...checksums(), ...numbers(), ...forms(), ...unknownTypes()];
}

function checksums(): readonly HostileLayers[] {
  const high = Buffer.from("caf\u00e9", "latin1");
  return [
    refuses("checksum-wrong", "one more", "header-checksum", [header({ name: "f", checksum: 1 })]),
    refuses("checksum-missing", "an empty field is no sum", "header-checksum", [header({ name: "f", checksum: "" })]),
    refuses("checksum-in-words", "nor is this", "header-checksum", [header({ name: "f", checksum: "rubbish" })]),
    gives(
      "checksum-signed",
      "old writers summed signed bytes",
      { "caf\u00e9": aFile("") },
      header({ name: high, checksum: "signed" }),
    ),
    refuses("rubbish", "no header at all", "header-checksum", [Buffer.alloc(512, 7)]),
  ];
}

function numbers(): readonly HostileLayers[] {
  return [
    number("size-junk", "digits and something else", { size: "12x" }),
    number("size-hex", "octal only", { size: "0x10" }),
    number("size-signed", "a sign is no digit", { size: "+0000000005" }),
    number("size-negative", "nor is this", { size: "-0000000005" }),
    number("size-of-8", "no octal digit", { size: "00000000008" }),
    number("size-in-two-parts", "Go stops at the NUL, others do not", { size: "1\0 2" }),
    number("size-negative-base-256", "reads backwards for ever: CVE-2025-8194", { size: base256(-512n, 12) }),
    number("size-beyond-2^53", "cannot be counted", { size: base256(2n ** 60n, 12) }),
    number("size-overflow", "overflows 64 bits", { size: base256(2n ** 70n, 12) }),
    number("mode-junk", "every field is looked at", { mode: "rwxr-xr" }),
    number("owner-junk", "every field is looked at", { uid: "root" }),
    number("time-junk", "every field is looked at", { mtime: "yesterday" }),
    gives(
      "blank-numbers",
      "an empty field is zero",
      { f: aFile("", { mode: 0, uid: 0, mtime: 0n }) },
      header({ name: "f", mode: "", uid: "       ", gid: "", mtime: "", size: "" }),
    ),
    gives(
      "padded-numbers",
      "blanks before and after",
      { f: aFile("x", { mode: 0o640, uid: 7 }) },
      entry({ name: "f", mode: "   640 ", uid: "  7\0", size: "  1         " }, "x"),
    ),
    gives(
      "full-fields",
      "no room for a NUL",
      { f: aFile("x", { mode: 0o640, uid: 7 }) },
      entry({ name: "f", mode: "00000640", uid: "00000007", size: "000000000001" }, "x"),
    ),
    gives(
      "base-256-size",
      "GNU may write any size so",
      { f: aFile("abc") },
      entry({ name: "f", size: base256(3n, 12) }, "abc"),
    ),
  ];
}

const unknownType = (type: string, about: string): HostileLayers =>
  refuses(`type-${type}`, about, "entry-type", [header({ name: "f", type })], "ERR_NOT_IMPLEMENTED");

function forms(): readonly HostileLayers[] {
  return [
    gives(
      "v7",
      "no magic at all",
      { f: aFile("x"), l: aLink("f") },
      entry({ name: "f", magic: "", type: "\0" }, "x"),
      entry({ name: "l", magic: "", type: "2", link: "f" }),
    ),
    gives("contiguous", "type 7 is a file to everybody", { f: aFile("x") }, entry({ name: "f", type: "7" }, "x")),
    gives(
      "prefix-of-gnu",
      "where GNU keeps times old Go kept the prefix (C-TAR.63)",
      { d: aDir(), "d/f": aFile("x") },
      entry({ name: "f", magic: gnuMagic, raw: [[345, Buffer.from("d")]] }, "x"),
    ),
    gives(
      "prefix-without-magic",
      "v7 has no prefix",
      { f: aFile("x") },
      entry({ name: "f", magic: "", raw: [[345, Buffer.from("d")]] }, "x"),
    ),
    gives(
      "prefix-of-star",
      "131 bytes of prefix, and times behind it",
      { d: aDir(), "d/f": aFile("x") },
      entry(
        {
          name: "f",
          raw: [
            [345, Buffer.from("d")],
            [476, Buffer.from("00000000012 00000000013 ")],
            [508, Buffer.from("tar\0")],
          ],
        },
        "x",
      ),
    ),
  ];
}

function unknownTypes(): readonly HostileLayers[] {
  return [
    gives(
      "foreign-magic",
      "is read as v7",
      { f: aFile("x") },
      entry({ name: "f", magic: "USTAR\u000000", raw: [[345, Buffer.from("d")]] }, "x"),
    ),
    unknownType("D", "GNU's list of a directory"),
    unknownType("M", "GNU's file of several volumes: only a part of a file"),
    unknownType("N", "GNU's old long names, which made links of their content: CVE-2006-6097"),
    unknownType("V", "GNU's name of a volume"),
    unknownType("X", "Solaris's extended header"),
    unknownType("A", "Solaris's list"),
    unknownType("8", "reserved"),
    unknownType(" ", "no type at all"),
  ];
}
