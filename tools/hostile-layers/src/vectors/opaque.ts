import { block, char, dir, entry, fifo, file, hardlink, opaque, symlink, whiteout } from "../build/entries.ts";
import { layer } from "../build/layer.ts";
import { aDir, aFile } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";
import { all, base, on, without } from "./whiteouts.ts";

/** Opaque markers, and markers of every shape: with content, of other types, as a part of a path. */
export function opaqueVectors(): readonly HostileLayers[] {
  return [...opaqueOnes(), ...opaqueRoots(), ...shapes()];
}

const kept = { ...without("etc"), etc: aDir(), "etc/new": aFile("n") };

function opaqueOnes(): readonly HostileLayers[] {
  const deep = { ...without("etc"), etc: aDir(), "etc/sub": aDir(), "etc/sub/new": aFile("n") };
  return [
    on("opaque-before", "everything lower is gone", [opaque("etc"), file("etc/new", "n")], kept),
    on("opaque-after", "what the layer brought stays", [dir("etc"), file("etc/new", "n"), opaque("etc")], kept),
    on(
      "opaque-repeated",
      "a hundred times is once",
      [
        ...Array.from({ length: 100 }, () => opaque("etc")),
        file("etc/new", "n"),
        ...Array.from({ length: 100 }, () => opaque("etc")),
      ],
      kept,
    ),
    on(
      "opaque-after-implied",
      "containerd loses the file: U-TAR.16, G-63",
      [file("etc/sub/new", "n"), opaque("etc")],
      deep,
    ),
    on("opaque-above-implied-later", "the other order", [opaque("etc"), file("etc/sub/new", "n")], deep),
    on("opaque-of-nothing", "containerd fails: U-TAR.17", [opaque("dne")], all),
    on("opaque-of-nothing-below", "several names deep", [opaque("dne/dne/dne")], all),
    on("opaque-of-a-file", "a file has nothing in it", [opaque("x")], all),
    on("opaque-through-a-link", "in the target", [opaque("link"), file("etc/new", "n")], kept),
    on("opaque-through-a-dead-link", "changes nothing", [opaque("dead")], all),
  ];
}

function opaqueRoots(): readonly HostileLayers[] {
  return [
    on("opaque-root", "everything lower is gone", [opaque(), file("new", "n")], { new: aFile("n") }),
    on(
      "opaque-root-after",
      "what the layer brought stays, implied directories too",
      [file("new", "n"), file("etc/sub/new", "n"), opaque()],
      { new: aFile("n"), etc: aDir(), "etc/sub": aDir(), "etc/sub/new": aFile("n") },
    ),
    on("opaque-root-absolute", "the same with a slash", [entry({ name: "/.wh..wh..opq" }), file("new", "n")], {
      new: aFile("n"),
    }),
    on("opaque-alone", "the directory stays as it was", [opaque("etc")], {
      ...without("etc"),
      etc: aDir({ mode: 0o751 }),
    }),
    on(
      "opaque-and-whiteouts",
      "which add nothing",
      [opaque("etc"), whiteout("etc/passwd"), file("etc/new", "n"), whiteout("etc/sub")],
      kept,
    ),
    on(
      "opaque-in-opaque",
      "one in the other",
      [opaque("etc"), dir("etc/sub"), opaque("etc/sub"), file("etc/new", "n")],
      { ...kept, "etc/sub": aDir() },
    ),
    on(
      "opaque-and-hard-link",
      "the link was made before the directory is emptied",
      [hardlink("etc/new", "etc/passwd"), opaque("etc")],
      { ...without("etc"), etc: aDir(), "etc/new": aFile("p") },
    ),
    {
      name: "whiteouts/opaque-then-a-third-layer",
      about: "only what is below the marker is hidden",
      layers: [
        layer(...base),
        layer(opaque("etc"), file("etc/new", "n")),
        layer(file("etc/last", "l"), whiteout("etc/new")),
      ],
      expect: { tree: { ...without("etc"), etc: aDir(), "etc/last": aFile("l") } },
    },
  ];
}

function shapes(): readonly HostileLayers[] {
  return [
    on(
      "with-content",
      "a marker's content is passed over",
      [entry({ name: ".wh.x" }, "not empty".repeat(100)), file("y", "y")],
      { ...without("x"), y: aFile("y") },
    ),
    on(
      "opaque-with-content",
      "that of an opaque marker too",
      [entry({ name: "etc/.wh..wh..opq" }, "y".repeat(600)), file("etc/new", "n")],
      { ...without("etc"), etc: aDir(), "etc/new": aFile("n") },
    ),
    on("as-directory", "the name makes the marker, not the type", [dir(".wh.x")], without("x")),
    on("as-symlink", "a link is not followed for it", [symlink(".wh.x", "/etc/passwd")], without("x")),
    on("as-hard-link", "and its target is not looked for", [hardlink(".wh.x", "dne")], without("x")),
    on("as-device", "no device is made", [char(".wh.x", 0, 0)], without("x")),
    on("as-others", "nor anything else", [fifo(".wh.x"), block("etc/.wh.passwd", 7, 7)], without("x", "etc/passwd")),
    on("opaque-as-directory", "for opaque markers too", [dir("etc/.wh..wh..opq"), file("etc/new", "n")], {
      ...without("etc"),
      etc: aDir(),
      "etc/new": aFile("n"),
    }),
    on("directory-component", "a directory in a path is an ordinary name (C-TAR.36)", [file(".wh.etc/f", "f")], {
      ...all,
      ".wh.etc": aDir(),
      ".wh.etc/f": aFile("f"),
    }),
    on(
      "below-a-component",
      "and a marker works in it",
      [file(".wh.d/f", "f"), file(".wh.d/g", "g"), whiteout(".wh.d/f")],
      { ...all, ".wh.d": aDir(), ".wh.d/f": aFile("f"), ".wh.d/g": aFile("g") },
    ),
    on("upper-case", "is an ordinary name", [file(".WH.x", "f")], { ...all, ".WH.x": aFile("f") }),
    on("prefix-without-dot", "is an ordinary name", [file(".whx", "f"), file("a.wh.x", "f")], {
      ...all,
      ".whx": aFile("f"),
      "a.wh.x": aFile("f"),
    }),
    on("opaque-longer-name", "hides the name .wh..opqx, which nobody has", [entry({ name: "etc/.wh..wh..opqx" })], all),
    on("of-bytes", "names are bytes", [entry({ name: Buffer.from(".wh.caf\u00e9", "latin1") })], all, [
      ...base,
      file(Buffer.from("caf\u00e9", "latin1")),
    ]),
    on(
      "longest-name",
      "the marker of a name of 255 bytes is longer than the filesystem takes, and is never made",
      [whiteout("n".repeat(255))],
      all,
      [...base, file("n".repeat(255), "x")],
    ),
  ];
}
