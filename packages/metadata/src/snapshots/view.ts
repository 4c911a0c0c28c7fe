import type { Mount } from "@varve/mount";
import type { CallOptions, CreateOptions, LabelChanges, SnapshotInfo, Snapshotter, Usage } from "@varve/snapshots";
import { changeLabels, checkLabels } from "../labels.ts";
import { isBelow } from "./below.ts";
import { commitSnapshot } from "./commit.ts";
import { inheritedLabels } from "./inherited-labels.ts";
import { leaseName } from "./place.ts";
import type { SnapshotPlace } from "./place.ts";
import { namesIn, startSnapshot } from "./prepare.ts";
import { removeSnapshot } from "./remove.ts";
import { infoOf, mustFind, notFound, rowsAfter } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";
import { inUsersWords } from "./users-words.ts";

const pageSize = 100;

/** The snapshots of one namespace: those that have both a record and a snapshot below. */
export class SnapshotView implements Snapshotter {
  readonly #place: SnapshotPlace;

  constructor(place: SnapshotPlace) {
    this.#place = place;
  }

  async stat(name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    const row = await this.#visible(name, options);
    if (this.#place.lease !== undefined && row.kind === "committed") await this.#hold(row, options);
    return infoOf(row);
  }

  async update(name: string, labels: LabelChanges, options: CallOptions = {}): Promise<SnapshotInfo> {
    options.signal?.throwIfAborted();
    checkLabels(`snapshot ${name}`, labels);
    const { database, backend } = this.#place;
    const { seq, backendKey } = await this.#visible(name, options);
    const inherited = inheritedLabels(labels);
    // Below first: what the caller sees changes last, and in one step.
    if (Object.keys(inherited).length > 0)
      await this.#below(name, () => backend.update(backendKey, inherited, options));
    return database.write((session) => {
      const row = mustFind(session, this.#place, name);
      // Removed meanwhile and made anew: nobody has asked to label that one.
      if (row.seq !== seq) throw notFound(name);
      session.run(
        "UPDATE snapshots SET labels = ?, owner = '', updated_at = max(updated_at, ?) WHERE seq = ?",
        JSON.stringify(changeLabels(row.labels, labels)),
        Date.now(),
        seq,
      );
      return infoOf(mustFind(session, this.#place, name));
    }, options.signal);
  }

  usage(name: string, options: CallOptions = {}): Promise<Usage> {
    return this.#below(name, ({ backendKey }) => this.#place.backend.usage(backendKey, options), options);
  }

  mounts(key: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    return this.#below(key, ({ backendKey }) => this.#place.backend.mounts(backendKey, options), options);
  }

  prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return startSnapshot(this.#place, { ...options, kind: "active", key, parent });
  }

  view(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return startSnapshot(this.#place, { ...options, kind: "view", key, parent });
  }

  commit(name: string, key: string, options: CreateOptions = {}): Promise<void> {
    return commitSnapshot(this.#place, { ...options, name, key });
  }

  remove(name: string, options: CallOptions = {}): Promise<void> {
    return removeSnapshot(this.#place, name, options);
  }

  /** By pages, with no transaction open while the caller works (U-MD.16). */
  async *walk(options: CallOptions = {}): AsyncGenerator<SnapshotInfo, void, undefined> {
    const { database, backend } = this.#place;
    for (let last = 0; ;) {
      const after = last;
      const rows = await database.read((session) => rowsAfter(session, this.#place, after, pageSize), options.signal);
      const isThere = await Promise.all(rows.map((row) => isBelow(backend, row, options)));
      for (const [index, row] of rows.entries()) {
        options.signal?.throwIfAborted();
        last = row.seq;
        if (isThere[index] === true) yield infoOf(row);
      }
      if (rows.length < pageSize) return;
    }
  }

  /** The snapshotter below is not ours to close. */
  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Who asks whether a snapshot is there builds on the answer: the lease holds it from now on. */
  #hold({ name, seq }: SnapshotRow, { signal }: CallOptions): Promise<void> {
    return this.#place.database.note((session) => {
      if (mustFind(session, this.#place, name).seq !== seq) throw notFound(name);
      leaseName(session, this.#place, name);
    }, signal);
  }

  async #visible(name: string, options: CallOptions): Promise<SnapshotRow> {
    const row = await this.#find(name, options);
    if (!(await isBelow(this.#place.backend, row, options))) throw notFound(name);
    return row;
  }

  async #below<T>(name: string, call: (row: SnapshotRow) => Promise<T>, options: CallOptions = {}): Promise<T> {
    const row = await this.#find(name, options);
    try {
      return await call(row);
    } catch (error) {
      throw inUsersWords(error, namesIn(row));
    }
  }

  #find(name: string, { signal }: CallOptions): Promise<SnapshotRow> {
    return this.#place.database.read((session) => mustFind(session, this.#place, name), signal);
  }
}
