// Pulls images into a store, all at once, and prints what came of it.
import { openClient } from "@varve/client";

const [root = "", ...names] = process.argv.slice(2);
await using client = await openClient({ root, snapshotter: "native", durability: "none" });
const results = await Promise.all(names.map((name) => client.pull(name)));
process.stdout.write(JSON.stringify(results));
