import type { Descriptor } from "@varve/oci";
import type { Handler } from "./handler.ts";

/**
 * Returned by a handler of a chain: the chain ends and the descriptor has no children, whatever the handlers before said.
 * Known by identity; to whoever does not know it, it is a list without children.
 */
export const skipDescriptor: readonly Descriptor[] = Object.freeze([]);

/** Returned by a handler of a chain: the handlers after it are left out; the children that those before it gave stay. */
export const stopHandlers: readonly Descriptor[] = Object.freeze([]);

/**
 * Makes one handler of several. They run one after the other on each descriptor, and their children are joined in order.
 * A handler ends the chain early with `skipDescriptor` or `stopHandlers`, or by throwing.
 */
export function handlers(...chain: readonly Handler[]): Handler {
  return async (descriptor, context) => {
    const children: Descriptor[] = [];
    for (const handler of chain) {
      context.signal.throwIfAborted();
      const found = await handler(descriptor, context);
      if (found === skipDescriptor) return skipDescriptor;
      if (found === stopHandlers) break;
      // Not by spreading into push: a list from outside may be longer than an argument list.
      for (const child of found) children.push(child);
    }
    return children;
  };
}
