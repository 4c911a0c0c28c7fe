import { execFileSync } from "node:child_process";
import { packLayer, type PackOptions, type PackSummary, type Trees } from "@varve/archive";
import { read, type Read } from "./read-tar.ts";

/** A whole layer and what was said of it. */
export function pack(trees: Trees, options?: PackOptions): { readonly layer: Buffer; readonly summary: PackSummary } {
  const blocks: Buffer[] = [];
  const packing = packLayer(trees, options);
  for (let next = packing.next(); ; next = packing.next()) {
    if (next.done === true) return { layer: Buffer.concat(blocks), summary: next.value };
    blocks.push(Buffer.from(next.value));
  }
}

/** The entries of the layer between two trees. */
export function entriesOf(trees: Trees, options?: PackOptions): Read[] {
  return read(pack(trees, options).layer);
}

/** Entries as short lines: type, name and link target. */
export function linesOf(trees: Trees): string[] {
  return entriesOf(trees).map(({ type, name, linkName }) => {
    const target = linkName.length === 0 ? "" : ` -> ${linkName.toString("latin1")}`;
    return `${type} ${name.toString("latin1")}${target}`;
  });
}

/** Copies a tree with everything, hard links too. */
export function copyTree(from: string, to: string): void {
  execFileSync("cp", ["-a", "-T", "--", from, to]);
}
