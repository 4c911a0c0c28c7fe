import { linkSync, lutimesSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testBlob } from "./bytes.ts";

/** The files of a layer, by its name: one of each kind, for something happens at each system call. */
export interface TestLayer {
  readonly name: string;
  /** How many directories it has, each in the one before. Default: 1. */
  readonly depth?: number | undefined;
}

const moment = new Date("2024-02-03T04:05:06Z");

/**
 * Writes the files of a layer into a directory, and a file that all layers have, in place of that of the layer below.
 * Contents and times hang on nothing but the name of the layer.
 */
export function writeLayer(directory: string, { name, depth = 1 }: TestLayer): void {
  const levels = Array.from({ length: depth }, (_, level) => `${name} ${level}`);
  const paths = levels.map((_, level) => join(directory, ...levels.slice(0, level + 1)));
  for (const path of paths) mkdirSync(path, { mode: 0o750 });
  const inner = join(directory, ...levels);
  writeFileSync(join(inner, "file"), testBlob(name, 20_000).bytes, { mode: 0o640 });
  linkSync(join(inner, "file"), join(inner, "hard"));
  symlinkSync("hard", join(inner, "soft"));
  rmSync(join(directory, "last"), { force: true });
  writeFileSync(join(directory, "last"), name);
  const files = ["file", "soft"].map((file) => join(inner, file));
  for (const path of [...files, join(directory, "last"), ...paths.toReversed(), directory]) {
    lutimesSync(path, moment, moment);
  }
}
