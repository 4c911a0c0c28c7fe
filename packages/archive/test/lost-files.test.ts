import { join as joinPath } from "node:path";
import { type LostFile, lostFiles, type SplitFiles } from "@varve/archive";
import { describe, expect, test } from "vitest";
import { inPieces, join, split, type Split, unpack, type Unpacked } from "./split-archive.ts";
import { dir, file, hardlink, symlink } from "./tar-builder.ts";

async function lost(records: Buffer, files: SplitFiles): Promise<LostFile[]> {
  const found: LostFile[] = [];
  for await (const one of lostFiles(inPieces(records, 1000), files)) found.push(one);
  return found;
}

/** Splits the archive again, with the lost contents in the records. */
function again(layer: Unpacked, gone: readonly LostFile[]): Split {
  const offsets = new Set(gone.map(({ offset }) => offset));
  return split(layer.archive, { inline: ({ offset }) => offsets.has(offset) });
}

// G-61
describe("contents that later entries replaced", () => {
  test.each([
    ["under the same name", ["a at 512"], [file("a", "old"), file("a", "new")]],
    ["under the same name, of another size", ["a at 512"], [file("a", "older"), file("./a", "new")]],
    ["three times", ["a at 1536", "a at 512"], [file("a", "1"), file("a", "2"), file("a", "3")]],
    ["by a directory", ["a at 512"], [file("a", "old"), dir("a")]],
    ["by a link", ["a at 512"], [file("a", "old"), symlink("b", "a"), file("b", "new")]],
    ["by replacing the directory", ["d/a at 1024"], [dir("d"), file("d/a", "old"), file("d", "new")]],
    [
      "under another name for it",
      ["d/a at 1536"],
      [dir("d"), symlink("d", "l"), file("d/a", "old"), file("l/a", "new")],
    ],
    ["by a hard link", ["a at 512"], [file("a", "old"), file("b", "new"), hardlink("b", "a")]],
    ["and that a hard link keeps", ["a at 512"], [file("a", "old"), hardlink("a", "b"), file("a", "new")]],
    ["by nothing at all", [], [file("a", "1"), hardlink("a", "b"), file("c", "1"), dir("d"), dir("d")]],
  ])("%s are found and kept, and other tools can read the records", async (_, expected, specs) => {
    using layer = unpack(...specs);
    const gone = await lost(layer.bytes, layer.files);
    expect(gone.map(({ name, offset }) => `${name.toString()} at ${offset}`).toSorted()).toEqual(expected);
    const second = again(layer, gone);
    expect(second.repeated).toBe(0);
    expect((await join(second.bytes, layer.files)).equals(layer.archive)).toBe(true);
    expect(await lost(second.bytes, layer.files)).toEqual([]);
    const paths = second.lines.filter(({ type }) => type === 1).map(({ name }) => joinPath("/", name ?? "", "."));
    expect(new Set(paths).size).toBe(paths.length);
  });

  test("are told with the reason, from the file's name and size, or the place it shares", async () => {
    using layer = unpack(
      file("a", "old"),
      file("a", "newer"),
      file("b", "1"),
      file("b", "2"),
      file("c", "1"),
      dir("c"),
    );
    expect((await lost(layer.bytes, layer.files)).map(({ name, size, why }) => [name.toString(), size, why])).toEqual([
      ["a", 3, "has 5 bytes instead of 3"],
      ["b", 1, "is replaced by a later entry"],
      ["c", 1, "is a directory now"],
    ]);
  });
});
