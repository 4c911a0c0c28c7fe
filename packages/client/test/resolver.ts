import type { Provider } from "@varve/content";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import type { Resolver } from "@varve/remotes";

/** A resolver that knows one name and reads from a store; `onFetch` may hold a transfer up. */
export function resolverOf(
  name: string,
  target: Descriptor,
  content: Provider,
  onFetch: (descriptor: Descriptor, signal: AbortSignal | undefined) => Promise<void> = async () => {},
): Resolver & { closed: number } {
  return {
    closed: 0,
    resolve: async () => ({ name, descriptor: target }),
    fetcher: () => ({
      async *fetch(descriptor, { offset = 0, signal } = {}) {
        const reader = await content.open(descriptor);
        try {
          yield* reader.stream({ start: offset, end: Math.min(offset + 10, reader.size) });
          await onFetch(descriptor, signal);
          yield* reader.stream({ start: Math.min(offset + 10, reader.size) });
        } finally {
          await reader.close();
        }
      },
    }),
    pusher: () => ({ push: () => Promise.reject(new CodedError("ERR_NOT_IMPLEMENTED", "read only")) }),
    async close() {
      this.closed += 1;
    },
  };
}
