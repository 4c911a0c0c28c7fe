// node pull-once.ts ROOT REFERENCE OPTIONS
// Pulls an image by a client with these options, as JSON, and prints what became of its layers, and how large the process was.
import { readFileSync, writeSync } from "node:fs";
import { openClient } from "@varve/client";

const [root = "", reference = "", options = "{}"] = process.argv.slice(2);
const client = await openClient({ ...(JSON.parse(options) as object), root });
const { layers } = await client.pull(reference);
await client.close();
// Of this program alone: what getrusage(2) tells is at least what the process was that started it.
const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1];
const megabytes = Math.round(Number(peak) / 1000);
writeSync(1, JSON.stringify({ statuses: layers.map(({ status }) => status), megabytes }));
