// A thread that exchanges the names of each pair, there and back and as fast as it can, until it is told to stop.
import { workerData } from "node:worker_threads";
import { AT_FDCWD, RENAME_EXCHANGE, tryRenameat2 } from "@varve/syscalls";

/** `control` has two numbers: whether to stop, and how many exchanges there were. */
const { pairs, control }: { pairs: readonly (readonly [string, string])[]; control: Int32Array } = workerData;
Atomics.store(control, 1, 0);
while (Atomics.load(control, 0) === 0) {
  for (const [one, two] of pairs) {
    if (tryRenameat2(AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE) === 0) Atomics.add(control, 1, 1);
  }
}
