/** Taken by every call that may wait. */
export interface CallOptions {
  /** Rejects with the signal's own reason. What the call had done so far stays as if it had not begun, or can be resumed. */
  readonly signal?: AbortSignal | undefined;
}

/** Taken by every call that lists. */
export interface WalkOptions extends CallOptions {
  /**
   * Lists what at least one of these lets through, in containerd's filter language (`@varve/filters`); which fields there
   * are, the call says. Default: everything.
   *
   * @throws ERR_INVALID_ARGUMENT a filter cannot be read; before the first element
   */
  readonly filters?: readonly string[] | undefined;
}
