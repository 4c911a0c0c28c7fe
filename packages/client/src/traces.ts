import { tracingChannel } from "node:diagnostics_channel";

/** What subscribers of `tracing:varve:client:<phase>:*` get: a pull as a whole, and the question what a name stands for. */
export interface ClientTrace {
  readonly phase: "pull" | "resolve";
  /** As it was asked for. */
  readonly reference: string;
}

const channels = {
  pull: tracingChannel<unknown, ClientTrace>("varve:client:pull"),
  resolve: tracingChannel<unknown, ClientTrace>("varve:client:resolve"),
} as const;

/** Runs `work`, and tells who listens; it costs nothing when nobody does. */
export function traced<T>(trace: ClientTrace, work: () => Promise<T>): Promise<T> {
  return channels[trace.phase].tracePromise(work, trace);
}
