/** Taken by every call that may wait. */
export interface CallOptions {
  /** Rejects with the signal's own reason, and leaves the snapshot as it was before the call. */
  readonly signal?: AbortSignal | undefined;
}

/** Labels of a new snapshot. They go with the snapshot they were given to: a commit starts with its own. */
export interface CreateOptions extends CallOptions {
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** One label by name; `undefined` removes it. Labels not named stay as they are. */
export type LabelChanges = Readonly<Record<string, string | undefined>>;

export interface UpdateOptions extends CallOptions {
  /** Removes the labels that are not named. Default: false. */
  readonly replace?: boolean | undefined;
}

export interface WalkOptions extends CallOptions {
  /**
   * Lists what at least one of these lets through, in containerd's filter language (`@varve/filters`). Fields: `name`,
   * `parent`, `kind`, `labels.<name>` (U-SN.7). Default: everything.
   *
   * @throws ERR_INVALID_ARGUMENT a filter cannot be read; before the first element
   */
  readonly filters?: readonly string[] | undefined;
}
