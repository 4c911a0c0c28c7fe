/** Taken by every call that may wait. */
export interface CallOptions {
  /** Rejects with the signal's own reason. What the call had done so far stays as if it had not begun, or can be resumed. */
  readonly signal?: AbortSignal | undefined;
}
