import type { Descriptor } from "@varve/oci";
import type { Fetcher } from "@varve/remotes";

/** What one call of `fetch` gives: bytes from the offset on, and perhaps an error at the end. */
export interface Answer {
  readonly bytes: Uint8Array;
  readonly error?: Error | undefined;
}

/** Gives one answer a call, the last one again and again, in chunks of three bytes, and notes the offsets asked for. */
export function fakeFetcher(...answers: readonly Answer[]): Fetcher & { readonly offsets: number[]; yielded: number } {
  const offsets: number[] = [];
  return {
    offsets,
    yielded: 0,
    async *fetch(_descriptor: Descriptor, { offset = 0, signal } = {}) {
      const answer = answers[Math.min(offsets.length, answers.length - 1)];
      offsets.push(offset);
      if (answer === undefined) return;
      for (let at = offset; at < answer.bytes.byteLength; at += 3) {
        signal?.throwIfAborted();
        this.yielded += 1;
        yield answer.bytes.subarray(at, at + 3);
      }
      if (answer.error !== undefined) throw answer.error;
    },
  };
}
