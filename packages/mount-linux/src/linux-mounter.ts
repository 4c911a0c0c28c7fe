import { resolve } from "node:path";
import { CodedError } from "@varve/errors";
import type { Mount, Mounter, UnmountOptions } from "@varve/mount";
import { close, printablePath } from "@varve/syscalls";
import { attach, detach, openTarget } from "./attach.ts";
import { prepareList } from "./prepare.ts";
import type { PreparedMount } from "./prepare.ts";
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
      await mountPrepared(mounts, place, path, options.signal);
    } finally {
      close(place);
    }
  }

  async unmount(target: string, options: UnmountOptions = {}): Promise<void> {
    await unmountAll(target, this.#busyTimeoutMs, options);
  }
}

async function mountPrepared(
  mounts: readonly Mount[],
  place: number,
  target: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const list = await prepareList(mounts, signal);
    try {
      signal?.throwIfAborted();
      refuseEarlyRemount(list.elements);
      mountList(list.elements, place);
    } finally {
      list.release();
    }
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) throw error;
    throw withTarget(error, target);
  }
}

/** What was mounted before the list cannot be brought back to what it was when a later element fails. */
function refuseEarlyRemount(elements: readonly PreparedMount[]): void {
  if (elements.length < 2 || elements[0]?.options.remount !== true) return;
  throw new CodedError(
    "ERR_INVALID_ARGUMENT",
    "mount option remount: must stand alone, or after what the list has mounted",
  );
}

// Synchronous from the first element to the last, so no other work of this process sees half a list.
function mountList(elements: readonly PreparedMount[], place: number): void {
  const attached: number[] = [];
  let base = place;
  try {
    for (const element of elements) {
      const fd = attach(element, base);
      if (fd === undefined) continue;
      attached.push(fd);
      const { target } = element.mount;
      if (target === undefined || target === "") base = fd;
    }
  } catch (error) {
    for (const fd of attached.toReversed()) detach(fd);
    throw error;
  }
  for (const fd of attached) close(fd);
}

// The steps know what they failed at, and not for which target.
function withTarget(error: unknown, target: string): unknown {
  if (!(error instanceof Error)) return error;
  error.message = `mount ${printablePath(target)}: ${error.message}`;
  return error;
}
