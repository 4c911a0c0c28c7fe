import { mkdir } from "node:fs/promises";
import { CodedError } from "@varve/errors";
import type { Mount, Mounter } from "@varve/mount";
import { withTemporaryMount } from "@varve/mount";

export interface MountedTreesOptions {
  readonly mounter: Mounter | undefined;
  /** Made when it is needed. Default: the system's directory for temporary files. */
  readonly directory: string | undefined;
}

/** Shows mounts as directories for a while. */
export class MountedTrees {
  readonly #mounter: Mounter | undefined;
  readonly #directory: string | undefined;

  constructor(options: MountedTreesOptions) {
    this.#mounter = options.mounter;
    this.#directory = options.directory;
  }

  /** Runs `body` with the directory that shows `mounts`, and takes them off again whatever happens. */
  async show<T>(
    mounts: readonly Mount[],
    body: (root: string) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    if (this.#mounter === undefined) {
      const types = mounts.map((mount) => mount.type).join(", ");
      throw new CodedError("ERR_NOT_IMPLEMENTED", `mounts (${types}): cannot be mounted without a mounter`);
    }
    const directory = this.#directory;
    if (directory !== undefined) await mkdir(directory, { recursive: true, mode: 0o700 });
    return withTemporaryMount(this.#mounter, mounts, body, { directory, signal });
  }
}
