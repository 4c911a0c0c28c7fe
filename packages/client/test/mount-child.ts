// Mounts an image, says so or why not, and stays until its standard input ends.
import { openClient } from "@varve/client";

const [root = "", reference = "", directory = "", snapshotter = ""] = process.argv.slice(2);
const client = await openClient({ root, snapshotter, durability: "none" });
try {
  await client.mount(reference, directory, { writable: true });
  process.stdout.write("mounted\n");
} catch (error) {
  process.stdout.write(`${error instanceof Error && "code" in error ? String(error.code) : String(error)}\n`);
}
process.stdin.resume().on("end", () => void client.close());
