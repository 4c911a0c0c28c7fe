// One task of the layer bench, in a process of its own: what it prints is its result. It loads no more than it needs.
import type { Result } from "../sections/result.ts";

const [task = "", root = ""] = process.argv.slice(2);
const [verb = "", layer = ""] = task.split(" ");

const apply = () => import("./apply-tasks.ts");
const pack = () => import("./pack-tasks.ts");

const tasks: Readonly<Record<string, () => Promise<Result | void>>> = {
  "apply-by-tar": async () => (await apply()).applyByTar(root, layer),
  "apply-by-differ": async () => (await apply()).applyByDiffer(root, layer, false),
  "apply-by-differ-again": async () => (await apply()).applyByDiffer(root, layer, true),
  unpack: async () => (await pack()).unpack(root, layer),
  "pack-by-tar gzip": async () => (await pack()).packByTar(root, "gzip"),
  "pack-by-tar zstd": async () => (await pack()).packByTar(root, "zstd"),
  "pack-by-differ gzip": async () => (await pack()).packByDiffer(root, "gzip"),
  "pack-by-differ zstd": async () => (await pack()).packByDiffer(root, "zstd"),
};

const run = tasks[task] ?? tasks[verb];
if (run === undefined) throw new Error(`task ${task}: unknown`);
console.log(JSON.stringify((await run()) ?? null));
