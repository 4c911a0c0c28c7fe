// One task of the fetch bench, in a process of its own: what it prints is its result.
import type { Result } from "../sections/result.ts";
import { byClient, byClientHere, byCurl, bySkopeo, byVarve } from "./tasks.ts";

const [task = "", root = ""] = process.argv.slice(2);

const tasks: Readonly<Record<string, () => Promise<Result>>> = {
  "curl sha256sum": () => byCurl(root, "sha256sum", "none"),
  "curl openssl": () => byCurl(root, "openssl", "none"),
  "curl sync sha256sum": () => byCurl(root, "sha256sum", "full"),
  "curl sync openssl": () => byCurl(root, "openssl", "full"),
  "varve none": () => byVarve(root, "none"),
  "varve full": () => byVarve(root, "full"),
  skopeo: () => bySkopeo(root),
  "client none": () => byClient(root, "none"),
  "client full": () => byClient(root, "full"),
  "client here none": () => byClientHere(root, "none"),
  "client here full": () => byClientHere(root, "full"),
};

const run = tasks[task];
if (run === undefined) throw new Error(`task ${task}: unknown`);
console.log(JSON.stringify(await run()));
