// node collect-loop.ts ROOT SECONDS
// Collects garbage over and over until the time is over. Prints `{"runs":n}`; fails if something could not be removed.
import { openClient } from "@varve/client";

const [root = "", seconds = ""] = process.argv.slice(2);
const until = performance.now() + Number(seconds) * 1000;
const client = await openClient({ root });
try {
  let runs = 0;
  for (; performance.now() < until; runs += 1) {
    const { failed } = await client.gc();
    for (const { item, error } of failed) throw new Error(`gc: ${item.type} ${item.id}`, { cause: error });
  }
  process.stdout.write(`${JSON.stringify({ runs })}\n`);
} finally {
  await client.close();
}
