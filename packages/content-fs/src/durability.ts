import { fdatasync as fdatasyncCallback } from "node:fs";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { retryOpen } from "./open-retry.ts";

const fdatasync = promisify(fdatasyncCallback);

/** `full`: what is acknowledged survives a power cut. `none`: left to the operating system. */
export type Durability = "full" | "none";

interface DirectorySync {
  running: Promise<void> | undefined;
  next: Promise<void> | undefined;
}

/** Brings data to disk, as far as a store is asked to. Bounded: a sync occupies a thread of libuv's few for long. */
export class Syncer {
  readonly enabled: boolean;
  readonly #directories: Map<string, DirectorySync> = new Map();
  #background = false;

  constructor(durability: Durability) {
    this.enabled = durability === "full";
  }

  /** The bytes and size of a file. */
  async data(fd: number): Promise<void> {
    if (this.enabled) await fdatasync(fd);
  }

  /**
   * The entries of a directory. Those who ask while a sync runs share the next one, which sees what they have done.
   * Windows has no such call.
   */
  async directory(path: string): Promise<void> {
    if (!this.enabled || process.platform === "win32") return;
    const state = this.#directories.get(path) ?? { running: undefined, next: undefined };
    this.#directories.set(path, state);
    state.next ??= this.#directoryAfter(path, state);
    await state.next;
  }

  /**
   * Starts to write a file back early, so that the sync at its commit has little left to do; one file at a time.
   * `undefined` if there is nothing to wait for.
   */
  ahead(fd: number): Promise<void> | undefined {
    if (!this.enabled || this.#background) return undefined;
    this.#background = true;
    return fdatasync(fd).finally(() => {
      this.#background = false;
    });
  }

  async #directoryAfter(path: string, state: DirectorySync): Promise<void> {
    await state.running?.catch(() => {});
    const running = syncDirectory(path);
    state.running = running;
    state.next = undefined;
    try {
      await running;
    } finally {
      if (state.running === running) state.running = undefined;
      if (state.running === undefined && state.next === undefined) this.#directories.delete(path);
    }
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await retryOpen(() => open(path, "r"));
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
