import { block, char, entry, fifo, file, symlink } from "../build/entries.ts";
import { bad, layer, type Part } from "../build/layer.ts";
import { base256 } from "../build/numbers.ts";
import { aBlock, aChar, aFifo, aFile, aLink, type ExpectedNode } from "../tree/expected.ts";
import type { HostileLayers } from "../types.ts";

const gives = (
  name: string,
  about: string,
  tree: Readonly<Record<string, ExpectedNode>>,
  ...layers: readonly (readonly Part[])[]
): HostileLayers => ({
  name: `devices/${name}`,
  about,
  layers: layers.map((parts) => layer(...parts)),
  expect: { tree },
});

const refuses = (name: string, about: string, part: Buffer, rule = "device-range"): HostileLayers => ({
  name: `devices/${name}`,
  about,
  layers: [layer(file("kept"), bad(part))],
  expect: { refused: "ERR_INVALID_DATA", rule, entry: "c" },
});

/** Device numbers, and special files that must not be opened. */
export function deviceVectors(outside: string): readonly HostileLayers[] {
  return [
    gives(
      "usual",
      "null and a loop device",
      { c: aChar("1:3", { mode: 0o666 }), b: aBlock("7:0", { mode: 0o660, gid: 6 }) },
      [char("c", 1, 3, { mode: 0o666 }), block("b", 7, 0, { mode: 0o660, gid: 6 })],
    ),
    gives("largest", "12 and 20 bits", { c: aChar("4095:1048575"), b: aBlock("4095:1048575") }, [
      char("c", 4095, 1_048_575),
      block("b", 4095, 1_048_575),
    ]),
    gives("base-256-number", "as GNU writes large ones", { c: aChar("300:70000") }, [
      char("c", 0, 0, { major: base256(300n, 8), minor: base256(70_000n, 8) }),
    ]),
    gives("block-of-zero", "only the character device of that number means something", { b: aBlock("0:0") }, [
      block("b", 0, 0),
    ]),
    gives("char-of-zero-and-one", "its neighbours are devices", { c: aChar("0:1"), d: aChar("1:0") }, [
      char("c", 0, 1),
      char("d", 1, 0),
    ]),
    gives("numbers-of-a-file", "only devices have them", { f: aFile("x") }, [
      file("f", "x", { major: "rubbish", minor: base256(-1n, 8) }),
    ]),
    gives(
      "file-over-full",
      "writing to the device would fail: it is not opened",
      { c: aFile("x".repeat(3000)) },
      [char("c", 1, 7)],
      [file("c", "x".repeat(3000))],
    ),
    gives("file-over-fifo", "opening would wait for ever", { p: aFile("x") }, [fifo("p")], [file("p", "x")]),
    gives("file-over-fifo-at-once", "in one layer too", { p: aFile("x") }, [
      fifo("p"),
      file("p", "x"),
      fifo("p"),
      file("p", "x"),
    ]),
    gives("file-over-disk", "nothing is written to a disk", { b: aFile("x") }, [block("b", 7, 0)], [file("b", "x")]),
    gives(
      "file-through-link-to-device",
      "the link is replaced",
      { l: aFile("x"), c: aChar("1:7") },
      [char("c", 1, 7), symlink("l", "c")],
      [file("l", "x")],
    ),
    gives(
      "fifo-over-link",
      "the link to the canary's fifo is replaced",
      { l: aFifo({ mode: 0o600 }), m: aLink(`${outside}/pipe`) },
      [symlink("l", `${outside}/pipe`), symlink("m", `${outside}/pipe`)],
      [fifo("l", { mode: 0o600 })],
    ),
    refuses(
      "whiteout",
      "overlayfs takes it for a whiteout, so that trees would differ: a layer that hides what its scanner saw",
      char("c", 0, 0),
      "device-whiteout",
    ),
    refuses(
      "whiteout-of-v7",
      "a header without device numbers",
      entry({ name: "c", type: "3", magic: "" }),
      "device-whiteout",
    ),
    refuses("major-too-large", "13 bits (C-TAR.62)", char("c", 4096, 1)),
    refuses("minor-too-large", "21 bits (C-TAR.62)", block("c", 1, 1_048_576)),
    refuses("negative-major", "C-TAR.62", char("c", 0, 1, { major: base256(-1n, 8) })),
    refuses("negative-minor", "C-TAR.62", char("c", 1, 0, { minor: base256(-1n, 8) })),
    refuses("wraps", "2^32 + 1 is 1 in 32 bits", char("c", 0, 3, { major: base256(4_294_967_297n, 8) })),
    refuses("rubbish", "no number at all", char("c", 0, 3, { major: "rubbish" })),
  ];
}
