// Opens a store and closes it.
import { openClient } from "@varve/client";

const [root = ""] = process.argv.slice(2);
await using client = await openClient({ root, snapshotter: "native", durability: "none" });
process.stdout.write(`opened ${client.root}\n`);
