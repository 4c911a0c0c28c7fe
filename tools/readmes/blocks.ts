import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../shared/workspace.ts";

/** One fenced code block of a document. */
export interface Block {
  /** Path of the document in the clone. */
  readonly document: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  /** First word after the fence. */
  readonly language: string;
  /** The words after the language. */
  readonly flags: readonly string[];
  readonly code: string;
}

/** Tells whether a block is an example that runs as it stands. */
export function isRunnable({ language, flags }: Block): boolean {
  return language === "ts" && !flags.includes("no-run");
}

const fencePattern = /^( *)```(\w+)([^\n]*)\n([\s\S]*?)^\1```$/gm;

/** Lists the fenced blocks of a document that name their language. */
export function readBlocks(document: string): readonly Block[] {
  return parseBlocks(document, readFileSync(join(root, document), "utf8"));
}

/** Lists the blocks in the text of a document. */
export function parseBlocks(document: string, text: string): readonly Block[] {
  return Array.from(text.matchAll(fencePattern), (match) => {
    const [, indent = "", language = "", info = "", code = ""] = match;
    const line = text.slice(0, match.index).split("\n").length;
    const flags = info.trim().split(/\s+/).filter(Boolean);
    return { document, line, language, flags, code: code.replaceAll(new RegExp(`^${indent}`, "gm"), "") };
  });
}
