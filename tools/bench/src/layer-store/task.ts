// One task of the layer store's bench, in a process of its own: what it prints is its result. It loads no more than it needs.
import type { Result } from "../sections/result.ts";

const [task = "", root = "", size = "0"] = process.argv.slice(2);
const [verb = "", layer = ""] = task.split(" ");

const register = () => import("./register-tasks.ts");
const stream = () => import("./stream-tasks.ts");
const many = () => import("./many-tasks.ts");

const tasks: Readonly<Record<string, () => Promise<Result | void>>> = {
  store: async () => (await register()).storeBlob(root, layer),
  unpack: async () => (await register()).unpack(root, layer),
  register: async () => (await register()).register(root, layer),
  fill: async () => (await stream()).fill(root, layer),
  "tar-by-tar": async () => (await stream()).tarByTar(root),
  "tar-by-store": async () => (await stream()).tarByStore(root),
  "fill-many": async () => (await many()).fillMany(root, Number(size)),
  open: async () => (await many()).openMany(root, Number(size)),
  list: async () => (await many()).listMany(root, Number(size)),
};

const run = tasks[verb];
if (run === undefined) throw new Error(`task ${task}: unknown`);
console.log(JSON.stringify((await run()) ?? null));
