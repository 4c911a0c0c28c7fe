import { cp, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import type { SnapshotInfo, SnapshotKind, Snapshotter, Usage } from "@varve/snapshots";

interface Entry {
  readonly kind: SnapshotKind;
  readonly parent: string | undefined;
  readonly directory: string;
}

/** Snapshots that are plain copies, known to this process alone: what is in them can be seen without a mount. */
export class DirectorySnapshotter implements Snapshotter {
  readonly #root: string;
  readonly #entries: Map<string, Entry> = new Map();
  #made = 0;

  constructor(root: string) {
    this.#root = root;
  }

  async stat(name: string): Promise<SnapshotInfo> {
    const { kind, parent } = this.#entry(name);
    return { kind, name, parent, labels: {}, createdAt: new Date(0), updatedAt: new Date(0) };
  }

  async update(name: string): Promise<SnapshotInfo> {
    return this.stat(name);
  }

  async usage(): Promise<Usage> {
    return { bytes: 0, inodes: 0 };
  }

  async mounts(key: string): Promise<readonly Mount[]> {
    return this.#mounts(this.#entry(key));
  }

  prepare(key: string, parent: string | undefined): Promise<readonly Mount[]> {
    return this.#make("active", key, parent);
  }

  view(key: string, parent: string | undefined): Promise<readonly Mount[]> {
    return this.#make("view", key, parent);
  }

  async commit(name: string, key: string): Promise<void> {
    this.#mustBeFree(name);
    const entry = this.#entry(key);
    this.#entries.delete(key);
    this.#entries.set(name, { ...entry, kind: "committed" });
  }

  async remove(name: string): Promise<void> {
    const { directory } = this.#entry(name);
    if ([...this.#entries.values()].some(({ parent }) => parent === name)) {
      throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: others stand on it`);
    }
    this.#entries.delete(name);
    await rm(directory, { recursive: true });
  }

  async *walk(): AsyncGenerator<SnapshotInfo, void, undefined> {
    for (const name of this.#entries.keys()) yield await this.stat(name);
  }

  /** Where the files of a snapshot are. */
  directoryOf(name: string): string {
    return this.#entry(name).directory;
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  async #make(kind: SnapshotKind, key: string, parent: string | undefined): Promise<readonly Mount[]> {
    this.#mustBeFree(key);
    const below = parent === undefined ? undefined : this.#entry(parent);
    this.#made += 1;
    const entry = { kind, parent, directory: join(this.#root, `${this.#made}`) };
    this.#entries.set(key, entry);
    const half = `${entry.directory}.half`;
    await mkdir(half);
    if (below !== undefined) {
      await cp(below.directory, half, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    }
    await rename(half, entry.directory);
    return this.#mounts(entry);
  }

  #mounts({ directory, kind }: Entry): readonly Mount[] {
    return [{ type: "bind", source: directory, options: [kind === "view" ? "ro" : "rw", "rbind"] }];
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
    return entry;
  }

  #mustBeFree(name: string): void {
    if (this.#entries.has(name)) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists`);
  }
}
