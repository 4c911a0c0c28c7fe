import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { lostFiles, treeFiles } from "@varve/archive";
import { hostileLayers, makeCanary } from "@varve-tools/hostile-layers";
import { afterAll, describe, expect, test } from "vitest";
import { apply, isRoot, Sandbox } from "./sandbox.ts";
import { inPieces, join, split } from "./split-archive.ts";

const world = mkdtempSync(joinPath(tmpdir(), "varve-split-"));
const roots = joinPath(world, "roots");
mkdirSync(roots);
const vectors = hostileLayers(makeCanary(world, roots).path);

afterAll(() => execFileSync("rm", ["-rf", world]));

/** Records a layer that was just applied, and does it again with the contents that are not in the tree. */
async function rebuilt(layer: Buffer, root: string): Promise<Buffer> {
  const files = treeFiles(root);
  try {
    const lost = new Set<number>();
    for await (const { offset } of lostFiles(inPieces(split(layer).bytes, 4096), files)) lost.add(offset);
    const { bytes } = split(layer, { inline: ({ offset }) => lost.has(offset) }, [700]);
    return await join(bytes, files);
  } finally {
    files.close();
  }
}

// G-60: every accepted layer can be exported again.
describe.skipIf(!isRoot)("hostile and odd layers (need root)", () => {
  const accepted = vectors.filter((vector) => "tree" in vector.expect);
  test.each(accepted.map((vector) => [vector.name, vector] as const))(
    "%s comes back bit for bit",
    async (_, vector) => {
      using box = new Sandbox(roots);
      const root = box.directory();
      for (const { bytes } of vector.layers) {
        apply(bytes, root, { limits: vector.limits });
        // eslint-disable-next-line no-await-in-loop
        expect((await rebuilt(bytes, root)).equals(bytes)).toBe(true);
      }
    },
  );

  test("are split as they are, or refused, even when they are not applied", () => {
    const codes = vectors.flatMap(({ layers }) => layers.map(({ bytes }) => codeOf(() => split(bytes))));
    const expected = ["none", "ERR_INVALID_DATA", "ERR_NOT_IMPLEMENTED", "ERR_RESOURCE_EXHAUSTED"];
    expect(new Set(codes)).toEqual(new Set(expected));
  });
});

function codeOf(work: () => unknown): unknown {
  try {
    work();
    return "none";
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}
