import type { Descriptor } from "@varve/oci";

export interface HandlerContext {
  readonly signal: AbortSignal;
}

/**
 * Does something with one descriptor and returns its children, which are handled next.
 * Chains of handlers make a pull: fetch, then children, then filters.
 */
export type Handler = (descriptor: Descriptor, context: HandlerContext) => Promise<readonly Descriptor[]>;
