// node large-child.ts ROOT: writes a large blob while nothing but the store keeps the process alive, and prints its digest.
import { openContentStore } from "@varve/content-fs";

const [root = ""] = process.argv.slice(2);
const store = await openContentStore({ root, durability: "none" });
const writer = await store.writer("large");
const chunk = Buffer.alloc(1024 * 1024, "x");
for (let count = 0; count < 64; count += 1) await writer.write(chunk);
process.stdout.write(await writer.commit());
await store.close();
