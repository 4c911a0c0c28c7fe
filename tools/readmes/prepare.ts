import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root, workspacePackages } from "../shared/workspace.ts";
import type { Block } from "./blocks.ts";

/** Where each block was written to; disposing removes the files. */
export interface PreparedBlocks extends AsyncDisposable {
  readonly files: ReadonlyMap<Block, string>;
}

const folderName = `.readme-${process.pid}`;

/**
 * Writes each block to a file inside the package that it documents, so that it sees that package and its dependencies and nothing else.
 * The documents of the root are about all packages together, and see all that are published.
 */
export function prepareBlocks(blocks: readonly Block[]): PreparedBlocks {
  const files = new Map<Block, string>();
  const folders = new Set<string>();
  for (const block of blocks) {
    const ofPackage = block.document.startsWith("packages/");
    const folder = join(root, ofPackage ? dirname(block.document) : "", folderName);
    if (!folders.has(folder)) {
      mkdirSync(folder);
      folders.add(folder);
      if (!ofPackage) linkPackages(folder);
    }
    const file = join(folder, `${block.document.replaceAll(/[^\w-]+/g, "-")}-${block.line}.ts`);
    writeFileSync(file, block.code);
    files.set(block, file);
  }
  return {
    files,
    async [Symbol.asyncDispose]() {
      for (const folder of folders) rmSync(folder, { recursive: true });
    },
  };
}

function linkPackages(folder: string): void {
  for (const { path, manifest } of workspacePackages()) {
    if (manifest.private === true) continue;
    const link = join(folder, "node_modules", manifest.name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(path, link);
  }
}
