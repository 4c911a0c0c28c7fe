// One task of the snapshot bench, in a process of its own: what it prints is its result. It loads no more than it needs.
import type { Result } from "../sections/result.ts";

const [task = "", root = "", size = "0"] = process.argv.slice(2);
const count = Number(size);

const cycles = () => import("./cycle-tasks.ts");
const trees = () => import("./tree-tasks.ts");

const tasks: Readonly<Record<string, () => Promise<Result | void>>> = {
  "overlay-fill": async () => (await cycles()).fill(root),
  "overlay-cycles": async () => (await cycles()).cycle("overlay", { root, count, durability: "full" }),
  "overlay-cycles-unsynced": async () => (await cycles()).cycle("overlay", { root, count, durability: "none" }),
  "native-cycles-unsynced": async () => (await cycles()).cycle("native", { root, count, durability: "none" }),
  "overlay-stat": async () => (await cycles()).statEach(root, count),
  "overlay-walk": async () => (await cycles()).walk(root),
  "overlay-walk-filtered": async () => (await cycles()).walk(root, ["kind==committed,labels.colour==green"]),
  "overlay-check": async () => (await cycles()).check(root, count),
  "unpack-debian": async () => (await trees()).unpackDebian(root),
  "copy-by-cp": async () => (await trees()).copyByCp(root),
  "copy-by-native": async () => (await trees()).copyByNative(root, 0),
  "copy-by-native-again": async () => (await trees()).copyByNative(root, 2),
};

const run = tasks[task];
if (run === undefined) throw new Error(`task ${task}: unknown`);
console.log(JSON.stringify((await run()) ?? null));
