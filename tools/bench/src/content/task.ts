// One task of the content bench, in a process of its own: what it prints is its result. It loads no more than it needs.
import type { Result } from "../sections/result.ts";

const [task = "", root = "", size = "0"] = process.argv.slice(2);
const count = Number(size);

const streams = () => import("./stream-tasks.ts");
const small = () => import("./small-tasks.ts");
const collections = () => import("./collect-tasks.ts");

const tasks: Readonly<Record<string, () => Promise<Result | void>>> = {
  "hash-alone": async () => (await streams()).hashAlone(count),
  "disk-alone": async () => (await streams()).diskAlone(root, count),
  ingest: async () => (await streams()).ingest(root, count, "full"),
  "ingest-unsynced": async () => (await streams()).ingest(root, count, "none"),
  "warm-memory": async () => (await streams()).warmMemory(root, count),
  "begin-ingest": async () => (await streams()).beginIngest(root, count / 2),
  "varve-small": async () => (await small()).varveSmall(root, count, "full"),
  "varve-small-unsynced": async () => (await small()).varveSmall(root, count, "none"),
  "cacache-small": async () => (await small()).cacacheSmall(root, count, "full"),
  "cacache-small-unsynced": async () => (await small()).cacacheSmall(root, count, "none"),
  populate: async () => (await collections()).populate(root, count),
  "list-alone": async () => (await collections()).listAlone(root),
  walk: async () => (await collections()).walk(root, false),
  "walk-records": async () => (await collections()).walk(root, true),
  "forget-half": async () => (await collections()).forgetHalf(root, count),
  collect: async () => (await collections()).collect(root),
};

const run = tasks[task];
if (run === undefined) throw new Error(`task ${task}: unknown`);
console.log(JSON.stringify((await run()) ?? null));
