import { dir, type EntryInit, file, gnuLong, opaque, symlink, whiteout } from "../build/entries.ts";
import { header } from "../build/header.ts";
import { bad, layer, type Part } from "../build/layer.ts";
import { paxRecord, rawPax } from "../build/pax.ts";
import { aDir, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";

const hits = (
  rule: string,
  name: string,
  about: string,
  limit: number | undefined,
  ...parts: readonly Part[]
): HostileLayers => ({
  name: `limits/${rule}-${name}`,
  about,
  layers: [layer(...parts)],
  limits: limit === undefined ? undefined : { [rule]: limit },
  expect: { refused: "ERR_RESOURCE_EXHAUSTED", rule },
});

const stays = (
  rule: string,
  name: string,
  limit: number | undefined,
  tree: Readonly<Record<string, ExpectedNode>>,
  ...parts: readonly Part[]
): HostileLayers => ({
  name: `limits/${rule}-${name}`,
  about: "just what the limit allows",
  layers: [layer(...parts)],
  limits: limit === undefined ? undefined : { [rule]: limit },
  expect: { tree },
});

const a = file("a", "123");
const b = file("b", "456");
const both = { a: aFile("123"), b: aFile("456") };

const deep = (count: number): string => `${"d/".repeat(count - 1)}f`;

const huge = (type: string): Buffer => header({ name: "x", type, size: 2 ** 33 - 1 });

const attributes = (count: number): EntryInit => ({
  pax: Object.fromEntries(Array.from({ length: count }, (_, at) => [`SCHILY.xattr.user.${at}`, ""])),
});

/** Each limit by its name, with what just fits and what does not. */
export function limitVectors(): readonly HostileLayers[] {
  const deepTree = Object.fromEntries(Array.from({ length: 7 }, (_, at) => ["d/".repeat(at + 1).slice(0, -1), aDir()]));
  return [
    hits("entries", "one-more", "a million empty files", 2, a, b, bad(dir("c"))),
    hits("entries", "of-whiteouts", "markers count too", 2, a, whiteout("x"), bad(whiteout("y"))),
    hits(
      "entries",
      "of-nothing",
      "opaque markers again and again",
      3,
      ...Array.from({ length: 3 }, () => opaque("d")),
      bad(opaque("d")),
    ),
    stays("entries", "all", 2, both, a, b),
    hits("bytes", "one-more", "the sum of all files", 5, a, bad(b)),
    hits("bytes", "said-in-the-header", "before the content comes", 1000, a, bad(file("b", "x", { size: 2 ** 32 }))),
    hits("bytes", "overwritten", "files that are replaced count too", 5, a, bad(a)),
    stays("bytes", "all", 6, both, a, b),
    hits(
      "pathBytes",
      "name",
      "a name of 64 KiB and one byte; the default",
      undefined,
      a,
      bad(file("n".repeat(65_537))),
    ),
    hits("pathBytes", "link", "targets too", undefined, a, bad(symlink("l", "n".repeat(65_537)))),
    hits("pathBytes", "slashes", "before the name is cleaned", 100, bad(file(`a${"/".repeat(100)}b`))),
    stays("pathBytes", "all", 200, { l: aLink("n".repeat(200)) }, symlink("l", "n".repeat(200))),
    hits("depth", "default", "4,097 names in a path", undefined, a, bad(dir(deep(4098)))),
    hits("depth", "one-more", "a name more than the limit", 7, a, bad(dir(deep(8)))),
    hits(
      "depth",
      "through-links",
      "links in a path count with what they lead to",
      7,
      symlink("l", "d/d/d/d"),
      bad(dir("l/d/d/d/d")),
    ),
    stays("depth", "all", 8, { ...deepTree, [deep(8)]: aFile("x") }, file(deep(8), "x")),
    hits("directories", "one-more", "named", 2, dir("a"), dir("b"), bad(dir("c"))),
    hits("directories", "implied", "or not", 2, bad(file("a/b/c/d"))),
    stays(
      "directories",
      "again",
      2,
      { a: aDir(), b: aDir() },
      ...Array.from({ length: 9 }, () => [dir("a"), dir("b")]).flat(),
    ),
    hits(
      "xattrs",
      "one-more",
      "attributes of one entry; the default",
      undefined,
      a,
      bad(file("b", "", attributes(1025))),
    ),
    stays(
      "xattrs",
      "all",
      2,
      { b: aFile("", { xattrs: { "user.0": "", "user.1": "" } }) },
      file("b", "", attributes(2)),
    ),
    hits(
      "headerBytes",
      "records",
      "1 MiB and more; the default",
      undefined,
      a,
      bad(rawPax(paxRecord("comment", "x".repeat(1024 * 1024))), b),
    ),
    hits("headerBytes", "size-only", "a size that no memory holds: CVE-2022-2879", undefined, a, bad(huge("x"))),
    hits("headerBytes", "global", "global ones too", undefined, a, bad(huge("g"))),
    hits("headerBytes", "long-name", "long names of GNU", undefined, a, bad(huge("L"))),
    hits("headerBytes", "long-link", "and long targets", undefined, a, bad(huge("K"))),
    stays("headerBytes", "all", 1000, { a: aFile("123") }, gnuLong("L", "a", "\0".repeat(999)), file("x", "123")),
  ];
}
