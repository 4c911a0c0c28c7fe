// node tools/packed-project/main.ts FOLDER
// Builds and packs every public package and installs the tarballs into a new project: what a user would have.
import { join } from "node:path";
import { installConsumer } from "../pack-check/consumer.ts";
import { packAll } from "../pack-check/pack.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("packed-project: needs a folder");
console.log(await installConsumer(join(folder, "project"), await packAll(join(folder, "tarballs"))));
