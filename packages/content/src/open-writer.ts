import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "@varve/errors";
import type { Ingester, Writer, WriterOptions } from "./ingester.ts";

export interface OpenWriterOptions extends WriterOptions {
  /** Told before each wait: why the ref is not free, and for how many milliseconds it waits. It must not throw. */
  readonly onWait?: ((error: Error, delayMs: number) => void) | undefined;
}

const firstBound = 16;
const lastBound = 2048;

/**
 * Opens a writer, and waits while another one holds `ref`: each time a random while, below 16 ms at first and below twice
 * as much after each attempt, up to 2048 ms, without a limit on attempts (S3.4, U-CS.8). The signal ends the wait.
 *
 * @throws what `Ingester.writer` throws, except ERR_UNAVAILABLE
 */
export async function openWriter(ingester: Ingester, ref: string, options: OpenWriterOptions = {}): Promise<Writer> {
  const { onWait, ...writerOptions } = options;
  const { signal } = options;
  for (let bound = firstBound; ; bound = Math.min(bound * 2, lastBound)) {
    signal?.throwIfAborted();
    try {
      return await ingester.writer(ref, writerOptions);
    } catch (error) {
      if (!hasCode(error, "ERR_UNAVAILABLE")) throw error;
      const delay = Math.floor(Math.random() * bound);
      onWait?.(error, delay);
      await pause(delay, signal);
    }
  }
}

async function pause(delay: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delay, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    // The timer rejects with its own AbortError; callers are promised the reason itself.
    signal?.throwIfAborted();
    throw error;
  }
}
