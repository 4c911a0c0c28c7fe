import { stat } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import type { Snapshotter } from "@varve/snapshots";
import { closeAll } from "./close-all.ts";
import { Lazy } from "./lazy.ts";

/** Opens a snapshotter in a directory of its own. */
export type OpenSnapshotter = (root: string) => Promise<Snapshotter>;

/** The snapshotters of one store, each opened when it is first asked for. */
export class SnapshotterSet {
  readonly #root: string;
  readonly #snapshotters: ReadonlyMap<string, Lazy<Snapshotter>>;

  /** @throws ERR_INVALID_ARGUMENT a name cannot be that of a directory */
  constructor(root: string, openers: Readonly<Record<string, OpenSnapshotter>>) {
    this.#root = root;
    const entries = Object.entries(openers).map(([name, open]) => {
      mustBeName(name);
      return [name, new Lazy(() => open(join(root, name)))] as const;
    });
    this.#snapshotters = new Map(entries);
  }

  /** Those that have been used in this store, now or in the past. */
  async used(): Promise<string[]> {
    const found: string[] = [];
    for (const name of this.#snapshotters.keys()) if (await isThere(join(this.#root, name))) found.push(name);
    return found;
  }

  /** Where the snapshotter of that name keeps everything. */
  directoryOf(name: string): string {
    return join(this.#root, name);
  }

  /** @throws ERR_INVALID_ARGUMENT there is none of that name */
  mustKnow(name: string): void {
    this.#find(name);
  }

  /** @throws ERR_INVALID_ARGUMENT there is none of that name */
  async get(name: string): Promise<Snapshotter> {
    return this.#find(name).get();
  }

  close(): Promise<void> {
    const opened = [...this.#snapshotters.values()];
    return closeAll(opened.map((lazy) => () => lazy.close((snapshotter) => snapshotter.close())));
  }

  #find(name: string): Lazy<Snapshotter> {
    const found = this.#snapshotters.get(name);
    if (found !== undefined) return found;
    const known = [...this.#snapshotters.keys()].join(", ");
    throw new CodedError("ERR_INVALID_ARGUMENT", `snapshotter ${name}: not known, there are ${known}`);
  }
}

function mustBeName(name: string): void {
  if (/^[a-zA-Z0-9][\w.-]{0,63}$/.test(name)) return;
  const message = `snapshotter ${JSON.stringify(name)}: a name is made of letters, digits, dots, dashes and underscores`;
  throw new CodedError("ERR_INVALID_ARGUMENT", message);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
