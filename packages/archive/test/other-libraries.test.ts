import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createLayerWriter } from "@varve/archive";
import { unpackTar } from "modern-tar/fs";
import { extract as extractNodeTar } from "tar";
import { extract as extractTarFs, type ExtractOptions } from "tar-fs";
import { describe, expect, test } from "vitest";
import { type Behaviour, behaviours } from "./layer-behaviours.ts";
import { isRoot, Sandbox } from "./sandbox.ts";
import { readTree } from "./tree.ts";

type Unpack = (layer: Buffer, root: string) => Promise<void>;

/** Links of images may be absolute: without the last of these they would be refused. */
const tarFsOptions: ExtractOptions & { readonly umask: number; readonly validateSymlinks: boolean } = {
  umask: 0,
  strict: false,
  validateSymlinks: false,
};

/** Each as somebody would use it who unpacks a layer as root and wants as much of it as the library can give. */
const libraries: Readonly<Record<string, Unpack>> = {
  archive: async (layer, root) => {
    const writer = createLayerWriter(root);
    writer.write(layer);
    writer.end();
  },
  "tar-fs": (layer, root) => pipeline(Readable.from([layer]), extractTarFs(root, tarFsOptions)),
  tar: (layer, root) =>
    pipeline(
      Readable.from([layer]),
      extractNodeTar({
        cwd: root,
        preserveOwner: true,
        unlink: true,
        chmod: true,
        processUmask: 0,
        maxDepth: Infinity,
      }),
    ),
  "modern-tar": (layer, root) => pipeline(Readable.from([layer]), unpackTar(root, { maxDepth: Infinity })),
};

async function has(behaviour: Behaviour, unpack: Unpack): Promise<boolean> {
  using box = new Sandbox();
  const above = box.directory();
  const [root, outside] = [join(above, "root"), join(above, "outside")];
  mkdirSync(root);
  mkdirSync(outside);
  writeFileSync(join(outside, "canary"), "canary");
  const before = [readTree(outside), readTree(above).length];
  let refused = false;
  for (const layer of behaviour.layers(outside)) {
    await unpack(layer, root).catch(() => {
      refused = true;
    });
  }
  const inside = readTree(root).length - 1;
  // What is outside must be as it was: nothing more, and nothing else in it.
  const untouched =
    JSON.stringify([readTree(outside), readTree(above).length - inside], asText) === JSON.stringify(before, asText);
  if (!untouched) return false;
  if (refused) return behaviour.mayRefuse === true;
  try {
    return behaviour.holds(root);
  } catch {
    return false;
  }
}

function cell(results: readonly (boolean | undefined)[]): string {
  return results.every(Boolean) ? "yes" : results.some(Boolean) ? "partly" : "no";
}

const asText = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

describe.skipIf(!isRoot)("the table of the README (needs root)", () => {
  test("says what this library and others do with layers", { timeout: 60_000 }, async () => {
    const rows = new Map<string, boolean[][]>();
    for (const behaviour of behaviours) {
      const results: boolean[] = [];
      for (const unpack of Object.values(libraries)) results.push(await has(behaviour, unpack));
      rows.set(behaviour.row, [...(rows.get(behaviour.row) ?? []), results]);
    }
    const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
    const table = readme
      .slice(readme.search(/^\| layers +\|/m))
      .split("\n\n", 1)[0]
      ?.split("\n")
      .map((line) =>
        line
          .split("|")
          .slice(1, -1)
          .map((each) => each.trim()),
      );
    expect(table?.filter((_, index) => index !== 1)).toEqual([
      ["layers", ...Object.keys(libraries)],
      ...[...rows].map(([row, results]) => [
        row,
        ...Object.keys(libraries).map((_, column) => cell(results.map((result) => result[column]))),
      ]),
    ]);
  });
});
