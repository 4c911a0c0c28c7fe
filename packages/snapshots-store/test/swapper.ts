// A process of its own for races.test.ts: swaps directories of the store in argv[2] for a link to argv[3], and back.
import { lstatSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AT_FDCWD, RENAME_EXCHANGE, tryRenameat2 } from "@varve/syscalls";

const [, , root = "", canary = "", aside = ""] = process.argv;
const link = join(aside, "link");
symlinkSync(canary, link);
let swaps = 0;
let isStopped = false;
process.on("message", () => {
  isStopped = true;
});

/** Not through a link: the canary is not ours to harm. */
function entries(path: string): string[] {
  try {
    return realpathSync(path) === path ? readdirSync(path).map((name) => join(path, name)) : [];
  } catch {
    return [];
  }
}

function exchange(path: string): boolean {
  return tryRenameat2(AT_FDCWD, path, AT_FDCWD, link, RENAME_EXCHANGE) === 0;
}

function swap(path: string): void {
  if (!entries(dirname(path)).includes(path) || !exchange(path)) return;
  swaps += 1;
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && exchange(path)) return;
  // The link was moved or removed meanwhile. What it stood for stays aside.
  tryRenameat2(AT_FDCWD, link, AT_FDCWD, join(aside, `left-${swaps}`), 0);
  rmSync(link, { recursive: true, force: true });
  symlinkSync(canary, link);
}

/** What a removal works on: the snapshot's directory, and those in it. */
function turn(): void {
  for (const outer of entries(root).filter((path) => /^(?:rm-|[0-9])/.test(basename(path)))) {
    swap(outer);
    for (const inner of [...entries(outer), ...entries(join(outer, "fs"))]) swap(inner);
  }
  if (isStopped) {
    process.send?.(swaps);
    process.disconnect();
  } else setImmediate(turn);
}

process.send?.("ready");
turn();
