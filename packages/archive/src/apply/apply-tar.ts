import { setImmediate as nextTurn } from "node:timers/promises";
import { createLayerWriter } from "./layer-writer.ts";
import type { ApplyResult, LayerWriterOptions } from "./types.ts";

export interface ApplyTarOptions extends LayerWriterOptions {
  /** Rejects with the signal's own reason; what was written so far stays. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes written before other work of this thread gets its turn. */
const turnBytes = 1024 * 1024;

/**
 * Applies one uncompressed layer to a directory, in this thread, in small turns. Rejects as `createLayerWriter` and the
 * writer's methods throw. For many or large layers use `createLayerWriter` in a worker thread.
 */
export async function applyTar(
  source: AsyncIterable<Uint8Array>,
  root: string,
  options: ApplyTarOptions = {},
): Promise<ApplyResult> {
  options.signal?.throwIfAborted();
  const writer = createLayerWriter(root, options);
  let sinceTurn = 0;
  try {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; at += turnBytes) {
        options.signal?.throwIfAborted();
        const block = chunk.subarray(at, at + turnBytes);
        writer.write(block);
        sinceTurn += block.length;
        if (sinceTurn < turnBytes) continue;
        sinceTurn = 0;
        await nextTurn();
      }
    }
    return writer.end();
  } finally {
    writer.abort();
  }
}
