import { tracingChannel } from "node:diagnostics_channel";
import type { TracingChannel } from "node:diagnostics_channel";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import type { ChainLayer } from "./layer.ts";

/**
 * What subscribers of `tracing:varve:unpack:<phase>:*` get (U-UNP.20): when a phase begins and ends, and with `result` or `error`
 * what came of it. The object is the same for all messages of one phase.
 */
export type UnpackTrace =
  /** The handler runs for a descriptor of the walk. */
  | { readonly phase: "handle"; readonly descriptor: Descriptor }
  /** A layer's blob is brought into the store, the wait for a free place left out. */
  | { readonly phase: "fetch"; readonly descriptor: Descriptor }
  /** One layer from the first look to its commit, or one of the steps in between: its snapshot, its bytes, its commit. */
  | {
      readonly phase: "apply" | "commit" | "layer" | "prepare";
      readonly descriptor: Descriptor;
      readonly diffId: Digest;
      readonly chainId: Digest;
    };

const channels: Readonly<Record<UnpackTrace["phase"], TracingChannel<unknown, UnpackTrace>>> = {
  handle: tracingChannel("varve:unpack:handle"),
  fetch: tracingChannel("varve:unpack:fetch"),
  layer: tracingChannel("varve:unpack:layer"),
  prepare: tracingChannel("varve:unpack:prepare"),
  apply: tracingChannel("varve:unpack:apply"),
  commit: tracingChannel("varve:unpack:commit"),
};

/** Runs `work`, and tells who listens; it costs nothing when nobody does. */
export function traced<T>(trace: UnpackTrace, work: () => Promise<T>): Promise<T> {
  return channels[trace.phase].tracePromise(work, trace);
}

/** As `traced`, for a phase of one layer. */
export function tracedLayer<T>(
  phase: "apply" | "commit" | "layer" | "prepare",
  { blob: descriptor, diffId, chainId }: ChainLayer,
  work: () => Promise<T>,
): Promise<T> {
  return traced({ phase, descriptor, diffId, chainId }, work);
}
