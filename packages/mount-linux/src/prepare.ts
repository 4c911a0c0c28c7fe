import type { Mount } from "@varve/mount";
import * as sys from "@varve/syscalls";
import { mountByFuseHelper, needsFuseHelper } from "./fuse-helper.ts";
import { parseOptions } from "./parsed-options.ts";
import type { ParsedOptions } from "./parsed-options.ts";
import { openUserNamespace } from "./user-namespace.ts";

/** An element of a list, with what other programs had to do for it. */
export interface PreparedMount {
  readonly mount: Mount;
  readonly options: ParsedOptions;
  /** A user namespace with the mappings of ids. */
  readonly userns: number | undefined;
  /** The mount itself, not attached yet, where a helper program has made it. */
  readonly made: number | undefined;
}

/** Prepared elements, whose descriptors are open until `release`. */
export interface PreparedList {
  readonly elements: readonly PreparedMount[];
  release(): void;
}

/**
 * Does what has to wait for other programs, before the first element is mounted. Every element's options are read before
 * anything is done.
 */
export async function prepareList(mounts: readonly Mount[], signal: AbortSignal | undefined): Promise<PreparedList> {
  const parsed = mounts.map((mount) => ({ mount, options: parseOptions(mount) }));
  const opened: number[] = [];
  const release = (): void => opened.splice(0).forEach((fd) => sys.close(fd));
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  const elements: PreparedMount[] = [];
  try {
    for (const { mount, options } of parsed) {
      const userns = options.ids === undefined ? undefined : keep(await openUserNamespace(options.ids, signal));
      const isHelped = needsFuseHelper(mount.type) && !options.remount;
      const made = isHelped ? keep(await mountByFuseHelper(mount, options, signal)) : undefined;
      elements.push({ mount, options, userns, made });
    }
  } catch (error) {
    release();
    throw error;
  }
  return { elements, release };
}
