/** Thrown to one side when the other side, or who watches both, gave up. Never the reason of a failure. */
export class RingCancelled extends Error {
  constructor() {
    super("block ring: cancelled");
    this.name = "RingCancelled";
  }
}

/** Whether `error` is a `RingCancelled`, also after a way between threads. */
export function isRingCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === "RingCancelled";
}
