import { char, dir, entry, fifo, file, hardlink, symlink } from "../build/entries.ts";
import { bad, cut, end, type Part } from "../build/layer.ts";
import { aChar, aDir, aFile, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";
import { gives, refuses } from "./headers.ts";

type Tree = Readonly<Record<string, ExpectedNode>>;

/** Sizes by which an entry is smuggled past one reader and not another, and where archives end. */
export function sizeVectors(): readonly HostileLayers[] {
  return [...sizes(), ...ends()];
}

/** A block that is a header to whoever looks for one there. */
const hidden = file("hidden", "");

function sizes(): readonly HostileLayers[] {
  const rule = "size-without-content";
  return [
    gives("directory-with-size", "POSIX lets it have one, without content", { d: aDir() }, dir("d", { size: 512 })),
    gives(
      "directory-with-content",
      "what follows is the next entry to all readers",
      { d: aDir(), hidden: aFile("") },
      dir("d", { size: 512 }),
      hidden,
    ),
    refuses("symlink-with-size", "some pass over the next header: an entry is smuggled", rule, [
      symlink("l", "x", { size: 512 }),
      hidden,
    ]),
    refuses("hardlink-with-size", "pax may put the content there, most readers do not look for it", rule, [
      hardlink("h", "kept", { size: 512 }),
      hidden,
    ]),
    refuses("device-with-size", "as with links", rule, [char("c", 1, 3, { size: 512 }), hidden]),
    refuses("fifo-with-size", "as with links", rule, [fifo("p", { size: 512 }), hidden]),
    refuses("old-directory-with-size", "a file to some, a directory to others", rule, [
      entry({ name: "d/", type: "\0", magic: "", size: 512 }),
      hidden,
    ]),
    refuses(
      "pax-size-smuggles",
      "the header says that there is no content: CVE-2025-62518 (TARmageddon)",
      "size-twice",
      [file("f", Buffer.concat([hidden, end]), { size: 0, pax: { size: "1536" } })],
    ),
    refuses("header-size-smuggles", "the record says that there is none: CVE-2026-33055", "size-twice", [
      file("f", Buffer.concat([hidden]), { pax: { size: "0" } }),
    ]),
    refuses("pax-size-on-a-directory", "astral-tokio-tar and others skip it", rule, [
      dir("d", { size: 512, pax: { size: "512" } }),
      hidden,
    ]),
    gives("sizes-agree", "said twice alike", { f: aFile("abc") }, file("f", "abc", { pax: { size: "3" } })),
    gives("pax-size-empty", "takes the record back", { f: aFile("abc") }, file("f", "abc", { pax: { size: "" } })),
    refuses("pax-size-negative", "a sign is no digit", "header-number", [file("f", "", { pax: { size: "-1" } })]),
    refuses("pax-size-fraction", "only times have one", "header-number", [file("f", "", { pax: { size: "0.0" } })]),
    refuses("pax-size-overflow", "2^64", "header-number", [file("f", "", { pax: { size: "18446744073709551616" } })]),
    gives(
      "device-numbers-in-pax",
      "records for them are of SCHILY's own and not used",
      { c: aChar("1:3") },
      char("c", 1, 3, { pax: { "SCHILY.devmajor": "1", "SCHILY.devminor": "3" } }),
    ),
  ];
}

const no = (name: string, about: string, rule: string, ...parts: readonly Part[]): HostileLayers => ({
  name: `headers/${name}`,
  about,
  layers: [cut(file("kept"), ...parts)],
  expect: { refused: "ERR_INVALID_DATA", rule },
});

function ends(): readonly HostileLayers[] {
  const kept: Tree = { f: aFile("x") };
  const f = file("f", "x");
  const ok = (name: string, about: string, tree: Tree, ...parts: readonly Part[]): HostileLayers => ({
    name: `headers/${name}`,
    about,
    layers: [cut(...parts)],
    expect: { tree },
  });
  return [
    ok("empty", "two blocks of zeros: the layer of no change", {}, end),
    ok("no-end", "an archive without an end mark", kept, f),
    ok("half-an-end", "one block of zeros", kept, f, end.subarray(512)),
    ok("long-end", "padded to whole records", kept, f, Buffer.alloc(10_240)),
    ok(
      "archive-after-the-end",
      "whoever reads on sees more entries: they are no part of the layer",
      kept,
      f,
      end,
      file("hidden", "h"),
      end,
    ),
    ok("rubbish-after-the-end", "is hashed and not read (U-DIFF.3)", kept, f, end, Buffer.from("rubbish")),
    no("entry-after-one-block-of-zeros", "some stop there, others go on", "end-mark", Buffer.alloc(512), bad(f), end),
    no("header-cut", "in the middle of a header", "archive-end", bad(f.subarray(0, 300))),
    no(
      "content-cut",
      "in the middle of the content",
      "archive-end",
      bad(file("f", "x".repeat(3000)).subarray(0, 1000)),
    ),
    no("content-missing", "right behind the header", "archive-end", bad(f.subarray(0, 512))),
    no("padding-cut", "in the padding", "archive-end", bad(f.subarray(0, 700))),
    no("zeros-cut", "in the end mark", "archive-end", f, bad(Buffer.alloc(100))),
    no(
      "size-beyond-the-end",
      "more content than there is",
      "archive-end",
      bad(file("f", "x", { size: 1_000_000 }), end),
    ),
  ];
}
