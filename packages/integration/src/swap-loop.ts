// node swap-loop.ts pair NAME OTHER | node swap-loop.ts snapshots ROOT LINK-TARGET
// Exchanges names, as fast as it can, until it is killed: two of them, or each snapshot's directory in ROOT, and `fs` in it,
// with a link. Prints a line now and then: how often it has.
import { lstatSync, readdirSync, renameSync, symlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, RENAME_EXCHANGE, tryRenameat2 } from "@varve/syscalls";

const [task, first = "", second = ""] = process.argv.slice(2);
let swaps = 0;
let stolen = 0;

function swap(a: string, b: string): boolean {
  const done = tryRenameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) === 0;
  if (!done) return false;
  swaps += 1;
  if (swaps % 1000 === 0) writeSync(1, `${swaps}\n`);
  return true;
}

/** Makes sure that this is a link. What else it has become went there by an exchange. */
function linkAt(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isSymbolicLink() === true) return path;
  if (stat !== undefined) renameSync(path, join(first, `stolen-${stolen++}`));
  symlinkSync(second, path);
  return path;
}

/** There and back: only while somebody has moved the name meanwhile does the link keep its place. */
function twice(name: string, link: string): void {
  if (swap(name, link)) swap(name, link);
}

writeSync(1, "begin\n");
if (task === "pair") {
  for (;;) swap(first, second);
}
for (;;) {
  for (const id of readdirSync(first).filter((name) => /^\d+$/.test(name))) {
    twice(join(first, id), linkAt(join(first, "link")));
    twice(join(first, id, "fs"), linkAt(join(first, "link-to-fs")));
  }
}
