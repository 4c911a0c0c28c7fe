import { setImmediate as turn } from "node:timers/promises";

const longestMs = 5;

/** To be awaited between the steps of long work: now and then it lets everything else on this thread have its turn. */
export type Breathe = () => Promise<void> | undefined;

/** @throws the signal's own reason, when it is time to let others have their turn and the signal is aborted */
export function createBreather(signal: AbortSignal | undefined): Breathe {
  let last = performance.now();
  const rest = async (): Promise<void> => {
    await turn();
    last = performance.now();
    signal?.throwIfAborted();
  };
  return () => (performance.now() - last < longestMs ? undefined : rest());
}
