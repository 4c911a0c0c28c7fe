// node pull-once.ts ROOT MARKERS REFERENCE [N]
// Prints `ready`, waits for a byte on its standard input, and pulls an image. Prints what became of its layers:
// `{"layers":[{"chainId":…,"status":…}]}`. Fails when it begins a layer that another process is writing. When it has prepared its
// N-th layer, it prints `amidst` and stands still.
import { readSync, writeSync } from "node:fs";
import { openClient } from "@varve/client";
import { markedOverlay } from "./marked-overlay.ts";

const [root = "", markers = "", reference = "", standsAt = ""] = process.argv.slice(2);
let prepared = 0;

function onPrepared(): void {
  prepared += 1;
  if (prepared !== Number(standsAt)) return;
  writeSync(1, "amidst\n");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

process.stdout.write("ready\n");
readSync(0, Buffer.alloc(1));
const snapshotters = { overlay: markedOverlay(markers, onPrepared) };
const client = await openClient({ root, registry: { plainHttp: true }, durability: "none", snapshotters });
try {
  const { layers } = await client.pull(reference);
  process.stdout.write(`${JSON.stringify({ layers })}\n`);
} finally {
  await client.close();
}
