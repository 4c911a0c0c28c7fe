import type { Mount } from "./mount.ts";

export interface UnmountOptions {
  readonly signal?: AbortSignal | undefined;
  /** Detach now and let the kernel finish when the last user is gone (MNT_DETACH). Default: false. */
  readonly lazy?: boolean | undefined;
}

/** Puts mounts into the file system of this process. */
export interface Mounter {
  /**
   * Mounts the whole list below `target`, an existing directory, in order.
   * Either all of it is mounted or none: a failing element takes those before it off again.
   * Links are not followed, neither at `target` nor on the way to it: whoever could exchange a part of the path for a
   * link would choose what is covered. The same holds for the source of a bind and the directories of an overlay, and for
   * what is shown. Resolve paths before (`realpath`) where there are some.
   *
   * @throws ERR_NOT_FOUND `target` does not exist, or a source
   * @throws ERR_FAILED_PRECONDITION there is a link at one of them or on the way to it
   * @throws ERR_NOT_IMPLEMENTED this system or kernel cannot mount such a thing
   * @throws ERR_PERMISSION_DENIED this process may not mount
   */
  mount(
    mounts: readonly Mount[],
    target: string,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<void>;
  /**
   * Takes off everything mounted at `target`, also several layers of it. A target where nothing is mounted is no error.
   * A link at `target` counts as such a target, and is never followed.
   *
   * @throws ERR_UNAVAILABLE the mount is busy
   * @throws ERR_FAILED_PRECONDITION there is a link on the way to `target`
   */
  unmount(target: string, options?: UnmountOptions): Promise<void>;
}
