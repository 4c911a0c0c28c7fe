// node pull-loop.ts ROOT SECONDS SEED REFERENCE…
// Pulls images in an order of its own until the time is over, each at least once. Prints `{"pulls":n}`; fails if a pull fails.
import { openClient } from "@varve/client";
import { randomFrom } from "./faults/random.ts";

const [root = "", seconds = "", seed = "", ...references] = process.argv.slice(2);
const random = randomFrom(Number(seed));
const until = performance.now() + Number(seconds) * 1000;
const client = await openClient({ root, registry: { plainHttp: true } });
try {
  let pulls = 0;
  for (let round = 0; round === 0 || performance.now() < until; round += 1) {
    const order = references.map((reference) => ({ reference, key: random() }));
    for (const { reference } of order.toSorted((a, b) => a.key - b.key)) {
      if (round > 0 && performance.now() > until) break;
      await client.pull(reference);
      pulls += 1;
    }
  }
  process.stdout.write(`${JSON.stringify({ pulls })}\n`);
} finally {
  await client.close();
}
