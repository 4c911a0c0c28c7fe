/** What one task came to, told by the process that ran it. */
export interface Result {
  readonly seconds: number;
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
  /** The largest that the process was. */
  readonly peakMegabytes: number;
  /** The longest time for which the main thread was busy with one thing. */
  readonly blockedMs: number;
  /** CPU time of the main thread, and the part of the time for which its event loop was busy. */
  readonly mainThread?: { readonly cpuSeconds: number; readonly utilization: number } | undefined;
  /** How much was done: bytes of a stream, blobs, things removed. */
  readonly count: number;
  /** What tasks that do the same work must agree on. */
  readonly check?: string | undefined;
}
