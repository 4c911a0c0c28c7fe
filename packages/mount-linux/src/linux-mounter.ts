import { resolve } from "node:path";
import { CodedError } from "@varve/errors";
import type { Mount, Mounter, UnmountOptions } from "@varve/mount";
import { close, printablePath } from "@varve/syscalls";
import { attach, detach, openTarget } from "./attach.ts";
import { unmountAll } from "./unmount.ts";

export interface LinuxMounterOptions {
  /** How long `unmount` tries again while a mount is busy, in milliseconds. Default: 2000. */
  readonly busyTimeoutMs?: number | undefined;
}

/** Mounts by the system calls of Linux 5.12 and later. Nothing is opened: there is nothing to close. */
export function createLinuxMounter(options: LinuxMounterOptions = {}): Mounter {
  return new LinuxMounter(options.busyTimeoutMs ?? 2000);
}

class LinuxMounter implements Mounter {
  readonly #busyTimeoutMs: number;

  constructor(busyTimeoutMs: number) {
    this.#busyTimeoutMs = busyTimeoutMs;
  }

  async mount(
    mounts: readonly Mount[],
    target: string,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    options.signal?.throwIfAborted();
    const [first] = mounts;
    if (first === undefined) return;
    if (first.target !== undefined && first.target !== "") {
      // Nothing would be mounted at the target itself, and unmounting the target would leave it all.
      throw new CodedError(
        "ERR_INVALID_ARGUMENT",
        `mount ${target}: the first of the list is not for the target itself`,
      );
    }
    const path = resolve(target);
    const place = openTarget(path);
    try {
      mountList(mounts, place, path);
    } finally {
      close(place);
    }
  }

  async unmount(target: string, options: UnmountOptions = {}): Promise<void> {
    await unmountAll(target, this.#busyTimeoutMs, options);
  }
}

// Synchronous from the first element to the last, so no other work of this process sees half a list.
function mountList(mounts: readonly Mount[], place: number, target: string): void {
  const attached: number[] = [];
  let base = place;
  try {
    for (const mount of mounts) {
      const fd = attach(mount, base);
      attached.push(fd);
      if (mount.target === undefined || mount.target === "") base = fd;
    }
  } catch (error) {
    for (const fd of attached.toReversed()) detach(fd);
    throw withTarget(error, target);
  }
  for (const fd of attached) close(fd);
}

// The steps know what they failed at, and not for which target.
function withTarget(error: unknown, target: string): unknown {
  if (!(error instanceof Error)) return error;
  error.message = `mount ${printablePath(target)}: ${error.message}`;
  return error;
}
