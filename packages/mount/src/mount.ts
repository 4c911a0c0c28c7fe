/** One mount as data, in the terms of mount(8). Mounting a list in order gives the tree. */
export interface Mount {
  /** `bind`, `overlay`, or any other filesystem type. */
  readonly type: string;
  /** A device, a directory, or the filesystem's own name (`overlay`). */
  readonly source: string;
  /** Where to mount, relative to the target of the whole list; absent means the target itself. */
  readonly target?: string | undefined;
  /** Each element one option, as after `-o`: `ro`, `rbind`, `lowerdir=/a:/b`. */
  readonly options: readonly string[];
}
