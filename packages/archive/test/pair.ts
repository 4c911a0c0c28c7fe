import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyTree, linesOf } from "./pack.ts";
import { Sandbox } from "./sandbox.ts";

/** A tree with a few files, and a copy of it to change. */
export class Pair extends Sandbox {
  readonly lower: string = this.directory();
  readonly upper: string = this.directory();

  constructor(make: (root: string) => void) {
    super();
    make(this.lower);
    copyTree(this.lower, this.upper);
  }

  lines(): string[] {
    return linesOf({ lower: this.lower, upper: this.upper });
  }
}

/** Changes in a directory leave its time as it was, so that only what the test is about differs. */
export function quietly(path: string, change: () => void): void {
  change();
  utimesSync(path, 1, 1);
}

/** A file with a fixed time. */
export function file(path: string, content = "x"): void {
  writeFileSync(path, content);
  utimesSync(path, 1, 1);
}

/** A directory with a fixed time, whatever is made in it. */
export function directory(path: string, make?: () => void): void {
  mkdirSync(path);
  make?.();
  utimesSync(path, 1, 1);
}

/** Two directories and three files. */
export const sample = (root: string): void => {
  directory(join(root, "d1"), () => {
    file(join(root, "d1/f1"), "one");
    file(join(root, "d1/f2"), "two");
  });
  directory(join(root, "d2"), () => file(join(root, "d2/f1"), "one"));
  file(join(root, "f"));
  utimesSync(root, 1, 1);
};
