import type { Mount } from "@varve/mount";
import type {
  CallOptions,
  CreateOptions,
  LabelChanges,
  SnapshotInfo,
  Snapshotter,
  UpdateOptions,
  Usage,
  WalkOptions,
} from "@varve/snapshots";
import { changeLabels, checkLabels } from "../labels.ts";
import { findBelow } from "./below.ts";
import { commitSnapshot } from "./commit.ts";
import { inheritedLabels } from "./inherited-labels.ts";
import { leaseName } from "./place.ts";
import type { SnapshotPlace } from "./place.ts";
import { startSnapshot } from "./prepare.ts";
import { removeSnapshot } from "./remove.ts";
import { infoOf, mustFind, namesIn, notFound } from "./rows.ts";
import type { SnapshotRow } from "./rows.ts";
import { inUsersWords } from "./users-words.ts";
import { walkSnapshots } from "./walk.ts";

/** The snapshots of one namespace: those that have both a record and a snapshot below. */
export class SnapshotView implements Snapshotter {
  readonly #place: SnapshotPlace;

  constructor(place: SnapshotPlace) {
    this.#place = place;
  }

  async stat(name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    const { row, below } = await this.#visible(name, options);
    if (this.#place.lease !== undefined && row.kind === "committed") await this.#hold(row, options);
    return infoOf(row, below);
  }

  async update(name: string, labels: LabelChanges, options: UpdateOptions = {}): Promise<SnapshotInfo> {
    const { replace = false, signal } = options;
    signal?.throwIfAborted();
    checkLabels(`snapshot ${name}`, labels);
    const { database, backend } = this.#place;
    const { row, below } = await this.#visible(name, options);
    const inherited = inheritedLabels(labels);
    // Below first: what the caller sees changes last, and in one step.
    if (replace || Object.keys(inherited).length > 0) {
      await this.#below(name, () => backend.update(row.backendKey, inherited, { replace, signal }));
    }
    return database.write((session) => {
      const now = mustFind(session, this.#place, name);
      // Removed meanwhile and made anew: nobody has asked to label that one.
      if (now.seq !== row.seq) throw notFound(name);
      session.run(
        "UPDATE snapshots SET labels = ?, owner = '', updated_at = max(updated_at + 1, ?) WHERE seq = ?",
        JSON.stringify(changeLabels(replace ? {} : now.labels, labels)),
        Date.now(),
        now.seq,
      );
      return infoOf(mustFind(session, this.#place, name), below);
    }, signal);
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

  walk(options: WalkOptions = {}): AsyncIterable<SnapshotInfo> {
    return walkSnapshots(this.#place, options);
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

  async #visible(name: string, options: CallOptions): Promise<{ row: SnapshotRow; below: SnapshotInfo }> {
    const row = await this.#find(name, options);
    const below = await findBelow(this.#place.backend, row, options);
    if (below === undefined) throw notFound(name);
    return { row, below };
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
