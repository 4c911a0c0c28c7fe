import { readFile, writeFile } from "node:fs/promises";
import { CodedError } from "@varve/errors";
import type { SnapshotInfo, SnapshotKind, Snapshotter } from "@varve/snapshots";

type Stored = Omit<SnapshotInfo, "createdAt" | "updatedAt">;

/** Snapshots that are nothing but records, so that what collects them is measured and not the removal of trees. */
export class MemorySnapshotter implements Snapshotter {
  readonly #snapshots: Map<string, SnapshotInfo>;

  private constructor(snapshots: readonly Stored[]) {
    const time = new Date();
    this.#snapshots = new Map(snapshots.map((each) => [each.name, { ...each, createdAt: time, updatedAt: time }]));
  }

  static create(): MemorySnapshotter {
    return new MemorySnapshotter([]);
  }

  /** Those that another process has saved. */
  static async load(path: string): Promise<MemorySnapshotter> {
    return new MemorySnapshotter(JSON.parse(await readFile(path, "utf8")) as Stored[]);
  }

  async save(path: string): Promise<void> {
    await writeFile(path, JSON.stringify([...this.#snapshots.values()]));
  }

  async stat(name: string): Promise<SnapshotInfo> {
    const found = this.#snapshots.get(name);
    if (found === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
    return found;
  }

  async prepare(key: string, parent: string | undefined): Promise<[]> {
    this.#put("active", key, parent);
    return [];
  }

  async view(key: string, parent: string | undefined): Promise<[]> {
    this.#put("view", key, parent);
    return [];
  }

  async commit(name: string, key: string): Promise<void> {
    const { parent } = await this.stat(key);
    this.#snapshots.delete(key);
    this.#put("committed", name, parent);
  }

  async remove(name: string): Promise<void> {
    if (!this.#snapshots.delete(name)) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
  }

  async *walk(): AsyncGenerator<SnapshotInfo> {
    yield* this.#snapshots.values();
  }

  async update(name: string): Promise<SnapshotInfo> {
    return this.stat(name);
  }

  async usage(): Promise<{ bytes: number; inodes: number }> {
    return { bytes: 4096, inodes: 1 };
  }

  async mounts(): Promise<[]> {
    return [];
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #put(kind: SnapshotKind, name: string, parent: string | undefined): void {
    const time = new Date();
    this.#snapshots.set(name, { kind, name, parent, labels: {}, createdAt: time, updatedAt: time });
  }
}
