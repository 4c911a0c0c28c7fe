import { setImmediate as nextTurn } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import type { CallOptions, CreateOptions, LabelChanges, RebaseOptions, WalkOptions } from "@varve/snapshots";
import { snapshotFilter } from "@varve/snapshots";
import type { Row } from "./database.ts";
import { commitSnapshot } from "./commit-snapshot.ts";
import { createSnapshot } from "./create-snapshot.ts";
import { checkLabels } from "./labels.ts";
import { narrow } from "./narrow-walk.ts";
import * as record from "./record.ts";
import { cleanUp, removeSnapshot } from "./remove-snapshot.ts";
import type {
  LabelUpdate,
  NewSnapshot,
  RecordedSnapshot,
  Sealing,
  SnapshotStore,
  StoredSnapshot,
} from "./snapshot-store.ts";
import type { StoreParts } from "./store-parts.ts";

export class DirectoryStore implements SnapshotStore {
  readonly root: string;
  readonly #parts: StoreParts;

  constructor(parts: StoreParts) {
    this.root = parts.directories.root;
    this.#parts = parts;
  }

  directory(id: number): string {
    return this.#parts.directories.of(id);
  }

  async get(name: string, options: CallOptions = {}): Promise<StoredSnapshot> {
    const { database } = this.#parts;
    return database.read(() => record.storedSnapshot(database, record.rowOf(database, name)), options.signal);
  }

  async stat(name: string, options: CallOptions = {}): Promise<RecordedSnapshot> {
    const { database } = this.#parts;
    return database.read(() => record.infoOf(database, record.rowOf(database, name)), options.signal);
  }

  async update(name: string, labels: LabelChanges, options: LabelUpdate = {}): Promise<RecordedSnapshot> {
    checkLabels(name, labels);
    const { database } = this.#parts;
    return database.write(() => {
      const id = Number(record.rowOf(database, name)["id"]);
      if (options.replace === true) record.removeLabels(database, id);
      record.putLabels(database, id, labels);
      record.touch(database, id);
      const info = record.infoOf(database, record.rowOf(database, name));
      options.admit?.(info.labels);
      return info;
    }, options.signal);
  }

  async create(snapshot: NewSnapshot, options: CreateOptions = {}): Promise<StoredSnapshot> {
    return createSnapshot(this.#parts, snapshot, options);
  }

  async rebase(key: string, parent: string, options: RebaseOptions = {}): Promise<StoredSnapshot> {
    const { database } = this.#parts;
    const section = (): StoredSnapshot => {
      const row = record.activeRow(database, key);
      if (row["parentName"] !== parent) this.#setParent(row, parent);
      return record.storedSnapshot(database, record.rowOf(database, key));
    };
    return options.volatile === true ? database.note(section, options.signal) : database.write(section, options.signal);
  }

  async commit(sealing: Sealing, options: CreateOptions = {}): Promise<StoredSnapshot> {
    return commitSnapshot(this.#parts, sealing, options);
  }

  async distrust(cause: unknown): Promise<void> {
    const { database, lostWrites } = this.#parts;
    await lostWrites.note(cause, () => database.read(() => record.lastId(database)));
  }

  async remove(name: string, options: CallOptions = {}): Promise<void> {
    await removeSnapshot(this.#parts, name, options.signal);
  }

  async *walk(options: WalkOptions = {}): AsyncIterable<RecordedSnapshot> {
    const passes = snapshotFilter(options.filters);
    for await (const snapshot of this.candidates(options)) if (passes(snapshot)) yield snapshot;
  }

  async *candidates(options: WalkOptions = {}): AsyncIterable<RecordedSnapshot> {
    const { database } = this.#parts;
    const within = narrow(options.filters);
    for (let last = 0; ;) {
      const batch = await database.read(() => record.infosAfter(database, last, within), options.signal);
      for (const snapshot of batch) {
        options.signal?.throwIfAborted();
        last = snapshot.id;
        yield snapshot;
      }
      if (batch.length < record.walkBatch) return;
      // Whoever walks may never wait for anything: others are to have their turn.
      await nextTurn();
    }
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    await cleanUp(this.#parts, options.signal);
  }

  /** What cannot be removed must not keep the store from being opened. */
  async sweepAtOpen(): Promise<void> {
    try {
      await this.cleanup();
    } catch (error) {
      if (error instanceof CodedError && error.code !== "ERR_UNAVAILABLE") throw error;
    }
  }

  async close(): Promise<void> {
    this.#parts.database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #setParent(row: Row, parent: string): void {
    const { database } = this.#parts;
    const key = String(row["name"]);
    const id = record.committedParent(database, parent);
    if (row["parent"] !== null) {
      throw new CodedError(
        "ERR_INVALID_ARGUMENT",
        `snapshot ${key}: cannot be put on ${parent}: its parent is ${String(row["parentName"])}`,
      );
    }
    database.all("UPDATE snapshots SET parent = ? WHERE id = ?", id, Number(row["id"]));
    record.touch(database, Number(row["id"]));
  }
}
