// node chain-loop.ts BACKEND ROOT CHAINS DEPTH
// Prepares and commits the same chains of keys as another process does at the same time. Before each key it prints a line
// and waits for a byte on its standard input; if that is an `h`, it prints another when it has prepared, and waits again. Prints
// `{"won":[name…],"late":n}` at last: the commits that were its own, and how often the other had taken the key.
import { readSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { unless } from "./faults/codes.ts";
import { openSnapshots, upperOf } from "./faults/snapshot-world.ts";

const [backend = "", root = "", chains = "", depth = ""] = process.argv.slice(2);
if (backend !== "overlay" && backend !== "native") throw new Error(`no backend ${backend}`);
const snapshots = await openSnapshots({ backend, durability: "none" }, root);
const won: string[] = [];
let late = 0;

/** Says so, and gives what it is told then. */
function told(line: string): string {
  writeSync(1, `${line}\n`);
  const byte = Buffer.alloc(1);
  readSync(0, byte);
  return byte.toString();
}

/** Whichever of the two prepares the key, each commits it: what one finds is none, or one that is taken. */
async function add(name: string, parent: string | undefined, holds: boolean): Promise<void> {
  const key = `${name} key`;
  const mounts = await snapshots.prepare(key, parent).catch(unless("ERR_ALREADY_EXISTS"));
  if (mounts === undefined) late += 1;
  else writeFileSync(join(upperOf(mounts), name), String(process.pid));
  if (holds) told("prepared");
  const lost = await snapshots.commit(name, key).then(
    () => false,
    (error: unknown) => unless("ERR_ALREADY_EXISTS", "ERR_NOT_FOUND")(error) ?? true,
  );
  if (!lost) won.push(name);
  // Prepared after the other had committed its own under the name.
  else await snapshots.remove(key).catch(unless("ERR_NOT_FOUND"));
}

try {
  for (let chain = 0; chain < Number(chains); chain += 1) {
    for (let layer = 0; layer < Number(depth); layer += 1) {
      const holds = told("ready") === "h";
      await add(`${chain}-${layer}`, layer === 0 ? undefined : `${chain}-${layer - 1}`, holds);
    }
  }
  process.stdout.write(`${JSON.stringify({ won, late })}\n`);
} finally {
  await snapshots.close();
}
