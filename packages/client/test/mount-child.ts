// Mounts an image, says so, and stays until its standard input ends.
import { openClient } from "@varve/client";

const [root = "", reference = "", directory = "", snapshotter = ""] = process.argv.slice(2);
const client = await openClient({ root, snapshotter, durability: "none" });
await client.mount(reference, directory, { writable: true });
console.log("mounted");
process.stdin.resume().on("end", () => void client.close());
