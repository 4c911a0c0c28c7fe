import { backoffDelays, sleep } from "@varve/locks";
import { isErrno } from "./errno.ts";

const attempts = 8;

/**
 * Runs a call that opens files, and again after a short while when there were no descriptors left: those of others come
 * free all the time (F04). About a second in all, then the error passes.
 */
export async function retryOpen<T>(call: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
  const delays = backoffDelays({ first: 16, cap: 256 });
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (attempt === attempts || !isErrno(error, "EMFILE", "ENFILE")) throw error;
      await sleep(16 + delays.next().value, { signal });
    }
  }
}
