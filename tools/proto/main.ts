// Makes the code that reads and writes containerd's messages: `npm run proto`, after a change of a .proto file. It needs the network.
import { createHash } from "node:crypto";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { execute } from "../shared/execute.ts";

const folder = resolve(import.meta.dirname, "../../packages/containerd");
// Large, and needed here only: so they are no dependencies of the workspace.
const packages = ["@bufbuild/buf@1.75.0", "@bufbuild/protoc-gen-es@2.17.0"];

const selection = packages.flatMap((name) => ["--package", name]);
const { ok, status } = await execute("npx", ["--yes", ...selection, "buf", "generate"], { cwd: folder, show: true });
if (!ok) throw new Error(`buf generate: ${status}`);
const sources = globSync("proto/**/*.proto", { cwd: folder }).toSorted();
const digests = sources.map((file) => [
  file,
  createHash("sha256")
    .update(readFileSync(join(folder, file)))
    .digest("hex"),
]);
writeFileSync(join(folder, "src/gen/sources.json"), `${JSON.stringify(Object.fromEntries(digests), undefined, 2)}\n`);
