import { accessSync, constants, existsSync, renameSync } from "node:fs";
import { chmod, mkdir, realpath, stat as statFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CodedError } from "@varve/errors";
import type { CallOptions, CreateOptions, LabelChanges, SnapshotInfo } from "@varve/snapshots";
import type { Database, Row } from "./database.ts";
import { openDatabase } from "./database.ts";
import { Directories } from "./directories.ts";
import { isErrno } from "./errno.ts";
import { checkLabels } from "./labels.ts";
import type { StoredSnapshot } from "./record.ts";
import * as record from "./record.ts";
import type { NewSnapshot, Sealing, SnapshotStore } from "./snapshot-store.ts";

export interface SnapshotStoreOptions {
  /** The directory that belongs to this store; made if it is missing, and closed to other users. */
  readonly root: string;
}

/**
 * Opens the store in `root`, and removes what killed processes left there.
 *
 * @throws ERR_NOT_IMPLEMENTED a newer program has written it
 * @throws ERR_DATA_LOSS its record is damaged, or lost while its snapshots are there
 */
export async function openSnapshotStore(options: SnapshotStoreOptions): Promise<SnapshotStore> {
  const path = resolve(options.root);
  await makeRoot(path);
  const root = await realpath(path);
  await closeToOthers(root);
  const store = new DirectoryStore(root, await openDatabase(join(root, "metadata.db")));
  try {
    await store.sweepAtOpen();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

async function makeRoot(path: string): Promise<void> {
  if (!existsSync(path)) {
    let parent = dirname(path);
    while (!existsSync(parent)) parent = dirname(parent);
    // What Node's recursive mkdir says of a read-only filesystem is that something was not found (F05).
    accessSync(parent, constants.W_OK);
  }
  await mkdir(path, { recursive: true, mode: 0o700 });
}

// Snapshots hold setuid programs of strangers: no other user may get at them (U-OVL.1).
async function closeToOthers(root: string): Promise<void> {
  const { mode, uid } = await statFile(root);
  if ((mode & 0o077) === 0 || uid !== process.geteuid?.()) return;
  await chmod(root, 0o700).catch((error: unknown) => {
    // Reading is possible all the same.
    if (!isErrno(error, "EROFS")) throw error;
  });
}

class DirectoryStore implements SnapshotStore {
  readonly root: string;
  readonly #database: Database;
  readonly #directories: Directories;

  constructor(root: string, database: Database) {
    this.root = root;
    this.#database = database;
    this.#directories = new Directories(root);
  }

  directory(id: number): string {
    return this.#directories.of(id);
  }

  async get(name: string, options: CallOptions = {}): Promise<StoredSnapshot> {
    const database = this.#database;
    return database.read(() => record.storedSnapshot(database, record.rowOf(database, name)), options.signal);
  }

  async stat(name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    const database = this.#database;
    return database.read(() => record.infoOf(database, record.rowOf(database, name)), options.signal);
  }

  async update(name: string, labels: LabelChanges, options: CallOptions = {}): Promise<SnapshotInfo> {
    checkLabels(name, labels);
    const database = this.#database;
    return database.write(() => {
      const id = Number(record.rowOf(database, name)["id"]);
      record.putLabels(database, id, labels);
      record.touch(database, id);
      return record.infoOf(database, record.rowOf(database, name));
    }, options.signal);
  }

  async create(snapshot: NewSnapshot, options: CreateOptions = {}): Promise<StoredSnapshot> {
    checkLabels(snapshot.key, options.labels ?? {});
    if (snapshot.build === undefined) return this.#insert(snapshot, options, undefined);
    const parentIds = await this.#database.read(() => this.#parentIds(snapshot), options.signal);
    const staged = this.#directories.stage();
    try {
      await this.#build(snapshot, staged, parentIds);
      return await this.#insert(snapshot, options, staged);
    } catch (error) {
      // What cannot be removed now is left to a later cleanup; the error that matters is the one we have.
      await this.#directories.remove([staged]).catch(() => undefined);
      throw error;
    }
  }

  async rebase(key: string, parent: string, options: CallOptions = {}): Promise<StoredSnapshot> {
    const database = this.#database;
    return database.write(() => {
      const row = record.activeRow(database, key);
      if (row["parentName"] !== parent) this.#setParent(row, parent);
      return record.storedSnapshot(database, record.rowOf(database, key));
    }, options.signal);
  }

  async commit(sealing: Sealing, options: CreateOptions = {}): Promise<StoredSnapshot> {
    const { key, name, seal } = sealing;
    const { labels = {}, signal } = options;
    checkLabels(name, labels);
    const database = this.#database;
    const before = await database.read(() => this.#toCommit(name, key), signal);
    const usage = await seal(before);
    return database.write(() => {
      const { id } = this.#toCommit(name, key);
      // Removed meanwhile and made anew: nobody has asked to commit that one.
      if (id !== before.id) throw new CodedError("ERR_NOT_FOUND", `snapshot ${key}: not found`);
      record.commitRow(database, id, name, usage);
      record.putLabels(database, id, labels);
      return record.storedSnapshot(database, record.rowOf(database, name));
    }, signal);
  }

  async remove(name: string, options: CallOptions = {}): Promise<void> {
    const id = await this.#forget(name, options.signal).catch(async (error: unknown) => {
      // A full disk has no room for the note that something is gone, either (F01).
      if (!isErrno(error, "ENOSPC") || !(await this.#freeSpace(name, options.signal))) throw error;
      return this.#forget(name, options.signal);
    });
    try {
      const trash = this.#directories.moveAside(String(id));
      if (trash !== undefined) await this.#directories.remove([trash]);
    } catch {
      // The snapshot is gone, which is what was asked for. Its directory is now one without a record (U-OVL.8).
    }
  }

  async *walk(options: CallOptions = {}): AsyncIterable<SnapshotInfo> {
    const database = this.#database;
    for (let last = 0; ;) {
      const batch = await database.read(() => record.infosAfter(database, last), options.signal);
      if (batch.length === 0) return;
      for (const { id, info } of batch) {
        options.signal?.throwIfAborted();
        last = id;
        yield info;
      }
    }
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    await this.#directories.remove(await this.#sweep(options.signal), options.signal);
  }

  /** What cannot be removed must not keep the store from being opened. */
  async sweepAtOpen(): Promise<void> {
    try {
      await this.#directories.remove(await this.#sweep());
    } catch (error) {
      if (error instanceof CodedError && error.code !== "ERR_UNAVAILABLE") throw error;
    }
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #forget(name: string, signal: AbortSignal | undefined): Promise<number> {
    const database = this.#database;
    return database.free(() => {
      const row = record.rowOf(database, name);
      record.deleteRow(database, row);
      return Number(row["id"]);
    }, signal);
  }

  /** Removes what an active snapshot holds before its record, which nobody but its remover can miss. */
  async #freeSpace(name: string, signal: AbortSignal | undefined): Promise<boolean> {
    const database = this.#database;
    const { id, kind } = await database.read(
      () => record.storedSnapshot(database, record.rowOf(database, name)),
      signal,
    );
    const trash = kind === "active" ? this.#directories.moveAside(String(id)) : undefined;
    if (trash !== undefined) await this.#directories.remove([trash]);
    return trash !== undefined;
  }

  async #sweep(signal?: AbortSignal): Promise<readonly string[]> {
    const database = this.#database;
    return database.write(() => {
      const ids = new Set(database.all("SELECT id FROM snapshots").map((row) => Number(row["id"])));
      return this.#directories.sweep((id) => ids.has(id));
    }, signal);
  }

  #parentIds({ key, parent }: NewSnapshot): readonly number[] {
    record.mustBeFree(this.#database, key);
    return parent === undefined ? [] : record.chainOf(this.#database, record.committedParent(this.#database, parent));
  }

  async #build(snapshot: NewSnapshot, staged: string, parentIds: readonly number[]): Promise<void> {
    try {
      await snapshot.build?.(staged, parentIds);
    } catch (error) {
      // A parent that was removed under our hands explains why its files are missing.
      await this.#database.read(() => this.#parentIds(snapshot));
      throw error;
    }
  }

  async #insert(snapshot: NewSnapshot, options: CreateOptions, staged: string | undefined): Promise<StoredSnapshot> {
    const database = this.#database;
    const { key, kind } = snapshot;
    let settled: number | undefined;
    return database.write(
      () => {
        const parent = this.#parentIds(snapshot)[0];
        const id = record.insertSnapshot(database, { name: key, kind, parent });
        record.putLabels(database, id, options.labels ?? {});
        if (staged !== undefined) {
          this.#directories.settle(staged, id);
          settled = id;
        }
        return record.storedSnapshot(database, record.rowOf(database, key));
      },
      options.signal,
      () => {
        if (staged !== undefined && settled !== undefined) renameSync(this.directory(settled), staged);
      },
    );
  }

  #toCommit(name: string, key: string): StoredSnapshot {
    record.mustBeFree(this.#database, name);
    return record.storedSnapshot(this.#database, record.activeRow(this.#database, key));
  }

  #setParent(row: Row, parent: string): void {
    const key = String(row["name"]);
    const id = record.committedParent(this.#database, parent);
    if (row["parent"] !== null) {
      throw new CodedError(
        "ERR_INVALID_ARGUMENT",
        `snapshot ${key}: cannot be put on ${parent}: its parent is ${String(row["parentName"])}`,
      );
    }
    this.#database.all("UPDATE snapshots SET parent = ? WHERE id = ?", id, Number(row["id"]));
    record.touch(this.#database, Number(row["id"]));
  }
}
