import { setImmediate } from "node:timers/promises";

/** Lets everything go on that is ready to. */
export async function settle(rounds = 1): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    // oxlint-disable-next-line no-await-in-loop -- rounds follow each other
    await setImmediate();
  }
}
