import { entry, file, gnuLong, hardlink, symlink } from "../build/entries.ts";
import { bad, cut, end, layer, type Part } from "../build/layer.ts";
import { pax, paxRecord, rawPax } from "../build/pax.ts";
import { escapedName } from "../canary.ts";
import { aDir, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers, Refusal } from "../types.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;
const f = file("f", "x");
const after = file("after", "x");

const gives = (name: string, about: string, tree: Tree, ...parts: readonly Part[]): HostileLayers => ({
  name: `extended/${name}`,
  about,
  layers: [layer(...parts, after)],
  expect: { tree: { ...tree, after: aFile("x") } },
});

const refuses = (
  name: string,
  about: string,
  rule: string,
  parts: readonly Buffer[],
  refused: Refusal["refused"] = "ERR_INVALID_DATA",
): HostileLayers => ({
  name: `extended/${name}`,
  about,
  layers: [layer(file("kept"), bad(...parts), after)],
  expect: { refused, rule },
});

const record = (name: string, about: string, content: string | Buffer): HostileLayers =>
  refuses(`record-${name}`, about, "pax-record", [rawPax(content), f]);

/** Extended headers of pax and long names of GNU: malformed, repeated, at odds, or at the wrong place. */
export function extendedHeaderVectors(): readonly HostileLayers[] {
  return [...records(), ...paxHeaders(), ...globals(), ...longNames(), ...cuts()];
}

function records(): readonly HostileLayers[] {
  return [
    record("too-long", "reaches beyond its header", "99 path=q\n"),
    record(
      "too-short",
      "ends in its value: readers that skip to the newline see another record",
      "9 path=qrs\n12 path=evil\n",
    ),
    record("without-newline", "ends with something else", "9 path=qx"),
    record("without-equals", "no key", "7 path\n"),
    record("without-key", "an empty key", "5 =v\n"),
    record("without-length", "no number", " path=q\n"),
    record("length-zero", "would be read for ever", "0 path=q\n"),
    record("length-negative", "would be read backwards", "-9 path=q\n"),
    record("length-with-zeros", "no writer does it", "0009 path=q\n".replace("0009", "0011")),
    record("length-huge", "overflows", "99999999999999999999 path=q\n"),
    record("rubbish-behind", "zeros behind the last record", Buffer.concat([paxRecord("path", "q"), Buffer.alloc(3)])),
    record("silent", "rubbish that astral-tokio-tar passed over: CVE-2025-59825's neighbour", "rubbish\n"),
    refuses("path-with-nul", "the kernel would stop there", "name-nul", [
      file("f", "x", { pax: { path: Buffer.from(`f\0/../../${escapedName}`) } }),
    ]),
    refuses("link-with-nul", "targets too", "name-nul", [
      hardlink("h", "kept", { pax: { linkpath: Buffer.from("kept\0x") } }),
    ]),
    refuses("key-with-nul", "whoever prints keys sees another", "name-nul", [rawPax(paxRecord("path\0x", "q")), f]),
  ];
}

function paxHeaders(): readonly HostileLayers[] {
  return [
    gives(
      "all-of-it",
      "what pax can say better than the header",
      { p: aFile("x", { uid: 3_000_000, mtime: 1_500_000_000n }) },
      file("f", "x", { pax: { path: "p", uid: "3000000", mtime: "1.5", comment: "x", hdrcharset: "BINARY" } }),
    ),
    gives("of-nothing", "an empty extended header", { f: aFile("x") }, pax([]), f),
    gives("empty-path", "takes the record back", { f: aFile("x") }, file("f", "x", { pax: { path: "" } })),
    gives(
      "same-twice",
      "a record that is said twice alike",
      { p: aFile("x") },
      rawPax(Buffer.concat([paxRecord("path", "p"), paxRecord("path", "p")])),
      f,
    ),
    refuses("path-twice", "the first or the last", "pax-twice", [
      rawPax(Buffer.concat([paxRecord("path", "p"), paxRecord("path", "q")])),
      f,
    ]),
    refuses("size-twice", "and sizes smuggle entries", "pax-twice", [
      rawPax(Buffer.concat([paxRecord("size", "0"), paxRecord("size", "1")])),
      f,
    ]),
    refuses("xattr-twice", "two values of one attribute", "pax-twice", [
      rawPax(Buffer.concat([paxRecord("SCHILY.xattr.user.a", "1"), paxRecord("SCHILY.xattr.user.a", "2")])),
      f,
    ]),
    refuses("two-headers", "the second, or both", "header-order", [pax([["path", "p"]]), pax([["uid", "7"]]), f]),
    refuses("before-the-end", "belongs to no entry", "header-order", [pax([["path", "p"]]), end]),
    refuses(
      "before-an-unknown-type",
      "the entry is still unknown",
      "entry-type",
      [pax([["path", "p"]]), entry({ name: "f", type: "V" })],
      "ERR_NOT_IMPLEMENTED",
    ),
    gives(
      "name-of-the-header-itself",
      "is never a path",
      { f: aFile("x") },
      entry({ name: `../${escapedName}`, type: "x" }, paxRecord("comment", "x")),
      f,
    ),
    gives(
      "long-path",
      "300 bytes",
      { ["d".repeat(200)]: aDir(), [`${"d".repeat(200)}/${"f".repeat(100)}`]: aFile("x") },
      file(`${"d".repeat(200)}/${"f".repeat(100)}`, "x"),
    ),
    gives(
      "path-of-bytes",
      "no UTF-8, whatever the standard says",
      { "caf\u00e9\u00ff": aFile("x") },
      file("f", "x", { pax: { path: Buffer.from("caf\u00e9\u00ff", "latin1") } }),
    ),
    gives(
      "path-with-newline",
      "only the length ends a record",
      { "a\n12 path=evil": aFile("x") },
      file("f", "x", { pax: { path: "a\n12 path=evil" } }),
    ),
  ];
}

const globalHeader = (...all: readonly (readonly [string, string])[]): Buffer => pax(all, "g");

function globals(): readonly HostileLayers[] {
  const rule = "pax-global";
  return [
    gives("global-comment", "git writes the commit there", { f: aFile("x") }, globalHeader(["comment", "deadbeef"]), f),
    gives(
      "global-time",
      "is for readers that know it; container engines ignore it (U-TAR.7)",
      { f: aFile("x", { mtime: 1_600_000_000_000_000_000n }) },
      globalHeader(["mtime", "7"]),
      f,
    ),
    refuses("global-path", "all entries would have one name, to GNU tar", rule, [globalHeader(["path", "p"]), f]),
    refuses("global-size", "smuggles entries past those that heed it", rule, [globalHeader(["size", "0"]), f]),
    refuses("global-owner", "root's files to some, not to others", rule, [globalHeader(["uid", "0"]), f]),
    refuses("global-attributes", "capabilities for all", rule, [
      globalHeader(["SCHILY.xattr.security.capability", "x"]),
      f,
    ]),
    refuses("global-sparse", "maps for all", rule, [globalHeader(["GNU.sparse.map", "0,1"]), f]),
    refuses("global-malformed", "is malformed like any other", "pax-record", [rawPax("rubbish\n", "g"), f]),
    refuses("global-in-between", "some forget what came before it", "header-order", [
      pax([["path", "p"]]),
      globalHeader(["comment", "x"]),
      f,
    ]),
  ];
}

function longNames(): readonly HostileLayers[] {
  const long = `${"d".repeat(150)}/${"f".repeat(150)}`;
  const tree = { ["d".repeat(150)]: aDir(), [long]: aFile("x") };
  return [
    gives("gnu-name", "longer than the field", tree, gnuLong("L", long), f),
    gives("gnu-name-without-nul", "old writers leave it out", tree, gnuLong("L", long, ""), f),
    gives(
      "gnu-name-and-link",
      "both of one entry, in any order",
      { [long.replace("/", "_").slice(0, 200)]: aLink(long) },
      gnuLong("K", long),
      gnuLong("L", long.replace("/", "_").slice(0, 200)),
      symlink("l", "x"),
    ),
    gives(
      "gnu-name-agrees-with-pax",
      "said twice alike",
      tree,
      gnuLong("L", long),
      file("f", "x", { pax: { path: long } }),
    ),
    refuses("gnu-name-against-pax", "Go takes one, GNU tar the other", "name-twice", [
      gnuLong("L", long),
      file("f", "x", { pax: { path: `../${escapedName}` } }),
    ]),
    refuses("gnu-link-against-pax", "targets too", "name-twice", [
      gnuLong("K", long),
      symlink("l", "x", { pax: { linkpath: "y" } }),
    ]),
    refuses("gnu-name-twice", "the first or the last", "header-order", [gnuLong("L", "one"), gnuLong("L", "two"), f]),
    refuses("gnu-name-empty", "Go takes the header's, others none", "name-twice", [gnuLong("L", ""), f]),
    refuses("gnu-name-with-nul", "ends there or goes on", "name-nul", [gnuLong("L", `a\0/../../${escapedName}`), f]),
    refuses("gnu-name-of-nothing", "belongs to no entry", "header-order", [gnuLong("L", "name"), end]),
    refuses("gnu-name-leaves", "is a name like any other", "path-above-root", [gnuLong("L", `../${escapedName}`), f]),
  ];
}

const ends = (name: string, ...parts: readonly Buffer[]): HostileLayers => ({
  name: `extended/${name}`,
  about: "the archive ends in or after an extended header",
  layers: [cut(file("kept"), bad(...parts))],
  expect: { refused: "ERR_INVALID_DATA", rule: "archive-end" },
});

function cuts(): readonly HostileLayers[] {
  const long = pax([["path", "p".repeat(2000)]]);
  return [
    ends("cut-in-records", long.subarray(0, 1000)),
    ends("cut-in-padding", pax([["path", "p"]]).subarray(0, 700)),
    ends("cut-behind", pax([["path", "p"]])),
    ends("cut-behind-gnu-name", gnuLong("L", "name")),
    ends("cut-in-gnu-name", gnuLong("L", "n".repeat(2000)).subarray(0, 1024)),
  ];
}
