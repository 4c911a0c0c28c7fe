import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "../shared/workspace.ts";
import type { Block } from "./blocks.ts";

/** Where each block was written to; disposing removes the files. */
export interface PreparedBlocks extends AsyncDisposable {
  readonly files: ReadonlyMap<Block, string>;
}

/**
 * Writes each block to a file inside the package that it documents, so that it sees that package and its dependencies and nothing else.
 * The documents of the root are about all packages together, which is what `integration` depends on.
 */
export function prepareBlocks(blocks: readonly Block[]): PreparedBlocks {
  const files = new Map<Block, string>();
  const folders = new Set<string>();
  for (const block of blocks) {
    const home = block.document.startsWith("packages/") ? dirname(block.document) : "packages/integration";
    const folder = join(root, home, `.readme-${process.pid}`);
    const file = join(folder, `${block.document.replaceAll(/[^\w-]+/g, "-")}-${block.line}.ts`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, block.code);
    folders.add(folder);
    files.set(block, file);
  }
  return {
    files,
    async [Symbol.asyncDispose]() {
      for (const folder of folders) rmSync(folder, { recursive: true });
    },
  };
}
