// node pull-once.ts ROOT MARKERS REFERENCE
// Prints `ready`, waits for a byte on its standard input, and pulls an image. Prints what became of its layers:
// `{"layers":[{"chainId":…,"status":…}]}`. Fails when it begins a layer that another process is writing.
import { readSync } from "node:fs";
import { openClient } from "@varve/client";
import { markedOverlay } from "./marked-overlay.ts";

const [root = "", markers = "", reference = ""] = process.argv.slice(2);
process.stdout.write("ready\n");
readSync(0, Buffer.alloc(1));
const snapshotters = { overlay: markedOverlay(markers) };
const client = await openClient({ root, registry: { plainHttp: true }, durability: "none", snapshotters });
try {
  const { layers } = await client.pull(reference);
  process.stdout.write(`${JSON.stringify({ layers })}\n`);
} finally {
  await client.close();
}
