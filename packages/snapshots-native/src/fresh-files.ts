import { statx } from "@varve/syscalls";
import type { FileStat } from "@varve/syscalls";

/** What a file has that this thread has just made, so that only the rest is set: each call saved is saved for every file. */
export class FreshFiles {
  readonly #owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly #umask: number | undefined;

  /**
   * @param root the directory, made by this process, that all files will be in or below
   * @param umask of this thread, if it is known and nobody else can change it
   */
  constructor(root: number, umask: number | undefined) {
    const { uid, gid } = statx(root, "", 0);
    // On a filesystem that gives files the group of their directory, and in a root of another group, it has to be set.
    const ours = uid === process.geteuid?.() && gid === process.getegid?.();
    this.#owner = ours ? { uid, gid } : undefined;
    this.#umask = umask;
  }

  /** Whether a new file has the owner and the group of `stat`. */
  hasOwnerOf(stat: FileStat): boolean {
    return this.#owner?.uid === stat.uid && this.#owner.gid === stat.gid;
  }

  /**
   * The mode to make a file with that is to have `mode`: that one, with all that the owner needs to fill it, or less where
   * nobody knows the umask.
   */
  modeFor(mode: number): number {
    return this.#umask === undefined ? 0o600 : (mode & 0o777) | 0o600;
  }

  /** Whether a file that was made with `given` has `mode` now. */
  hasMode(mode: number, given: number): boolean {
    return this.#umask !== undefined && (given & ~this.#umask) === (mode & 0o7777);
  }
}
