import { CodedError } from "@varve/errors";
import type { Snapshotter } from "@varve/snapshots";
import { removeStaleExtractions } from "@varve/unpack";

/** Opens a snapshotter in a directory of its own. */
export type OpenSnapshotter = (root: string) => Promise<Snapshotter>;

/** The snapshotters of one store, each opened when it is first asked for. */
export class SnapshotterSet {
  readonly #root: string;
  readonly #openers: ReadonlyMap<string, OpenSnapshotter>;
  readonly #opened: Map<string, Promise<Snapshotter>> = new Map();

  constructor(root: string, openers: Readonly<Record<string, OpenSnapshotter>>) {
    this.#root = root;
    this.#openers = new Map(Object.entries(openers));
  }

  names(): readonly string[] {
    return [...this.#openers.keys()];
  }

  get(name: string): Promise<Snapshotter> {
    const open = this.#openers.get(name);
    if (open === undefined) {
      const known = [...this.#openers.keys()].join(", ");
      return Promise.reject(
        new CodedError("ERR_INVALID_ARGUMENT", `snapshotter ${name}: not known, there are ${known}`),
      );
    }
    let opened = this.#opened.get(name);
    if (opened === undefined) {
      opened = openClean(open, `${this.#root}/${name}`);
      this.#opened.set(name, opened);
      // A failure is not remembered: the next call may find the disk or the kernel in a better state.
      opened.catch(() => this.#opened.delete(name));
    }
    return opened;
  }

  async close(): Promise<void> {
    const results = await Promise.allSettled([...this.#opened.values()].map(async (opened) => (await opened).close()));
    this.#opened.clear();
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

async function openClean(open: OpenSnapshotter, root: string): Promise<Snapshotter> {
  const snapshotter = await open(root);
  await removeStaleExtractions(snapshotter);
  return snapshotter;
}
