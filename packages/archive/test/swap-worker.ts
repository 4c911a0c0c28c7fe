import { workerData } from "node:worker_threads";
import { AT_FDCWD, RENAME_EXCHANGE, tryRenameat2 } from "@varve/syscalls";

// Swaps each pair of names again and again, until the other side says stop.
const { pairs, stop }: { pairs: readonly (readonly [string, string])[]; stop: Int32Array } = workerData;
while (Atomics.load(stop, 0) === 0) {
  for (const [one, two] of pairs) tryRenameat2(AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE);
  Atomics.add(stop, 1, 1);
}
