// A process of its own for processes.test.ts: works on the store in argv[2] as argv[3] says.
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "@varve/errors";
import { openSnapshotStore } from "@varve/snapshots-store";
import type { SnapshotStore } from "@varve/snapshots-store";

const [, , root = "", task = ""] = process.argv;

async function build(directory: string): Promise<void> {
  mkdirSync(join(directory, "fs"));
  for (let index = 0; index < 20; index += 1) writeFileSync(join(directory, "fs", `file-${index}`), "");
}

const seal = async (): Promise<{ bytes: number; inodes: number }> => ({ bytes: 0, inodes: 21 });

/** Creates keys that others create too, and tells which it got. */
async function compete(store: SnapshotStore): Promise<string[]> {
  const won: string[] = [];
  for (let index = 0; index < 40; index += 1) {
    try {
      await store.create({ kind: "active", key: `key-${index}`, build });
      won.push(`key-${index}`);
    } catch (error) {
      if (!hasCode(error, "ERR_ALREADY_EXISTS")) throw error;
    }
  }
  return won;
}

/** Creates and commits under keys and names that others want too, and tells which commits it has made. */
async function contest(store: SnapshotStore): Promise<string[]> {
  const won: string[] = [];
  for (let index = 0; index < 60; index += 1) {
    const [key, name] = [`key-${index % 20}`, `name-${index % 20}`];
    try {
      await store.create({ kind: "active", key, build });
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    try {
      await store.commit({ key, name, seal });
      won.push(name);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  return won;
}

function isRefusal(error: unknown): boolean {
  return hasCode(error, "ERR_ALREADY_EXISTS") || hasCode(error, "ERR_NOT_FOUND");
}

/** Creates, commits and removes until it is killed. */
async function churn(store: SnapshotStore): Promise<never> {
  for (let index = 0; ; index += 1) {
    const [key, name] = [`${process.pid}-${index}-key`, `${process.pid}-${index}`];
    await store.create({ kind: "active", key, build });
    await store.commit({ key, name, seal });
    process.send?.(name);
    if (index % 2 === 1) await store.remove(name);
  }
}

async function slowBuild(directory: string): Promise<void> {
  await build(directory);
  process.send?.("building");
  await once(process, "message");
}

/** Builds slowly: says when it has begun, and goes on when told to. */
async function buildSlowly(store: SnapshotStore): Promise<string[]> {
  await store.create({ kind: "active", key: "slow", build: slowBuild });
  return ["slow"];
}

const store = await openSnapshotStore({ root });
const tasks = { compete, contest, churn, buildSlowly };
const known = Object.entries(tasks).find(([name]) => name === task);
if (known === undefined) throw new Error(`unknown task ${task}`);
process.send?.(await known[1](store));
await store.close();
process.disconnect();
