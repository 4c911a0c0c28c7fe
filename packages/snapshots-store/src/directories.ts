import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { basename, join } from "node:path";
import { CodedError } from "@varve/errors";
import { isErrno, withSubject } from "./errno.ts";
import { directoryName } from "./lost-record.ts";
import { mountOf } from "./mount-id.ts";
import { MountTable } from "./mount-table.ts";
import { removeEmptyDirectory } from "./remove-empty.ts";
import { removeTree } from "./remove-tree.ts";
import { damageOf } from "./snapshot-files.ts";
import type { SnapshotIdentity } from "./snapshot-store.ts";
import { isAbandoned, originalName, stagingName, stagingPrefix, trashName, trashPrefix } from "./staging.ts";

/** The file in the root that all is recorded in. */
export const recordName = "metadata.db";

/** What a sweep has found. */
export interface Sweep {
  /** To be removed; names in the root. */
  readonly trash: readonly string[];
  /** Active snapshots and views whose files are not there any more. */
  readonly gone: readonly number[];
  /** Why something is not among the trash. */
  readonly errors: readonly unknown[];
}

/** The directories below the root of a store. What is synchronous runs inside a section of the database. */
export class Directories {
  readonly root: string;
  /** What the root is on. */
  readonly #mount: string;

  constructor(root: string) {
    this.root = root;
    this.#mount = mountOf(root);
  }

  of(id: number): string {
    return join(this.root, String(id));
  }

  /** Makes a directory that no cleanup takes while this process lives; returns its path. */
  stage(): string {
    const staged = join(this.root, stagingName());
    mkdirSync(staged, { mode: 0o700 });
    return staged;
  }

  async unstage(staged: string): Promise<void> {
    await this.remove([basename(staged)]);
  }

  /** Gives a staged directory its place. What is there has no record, for the caller just got the id: it goes aside. */
  settle(staged: string, id: number): void {
    try {
      renameSync(staged, this.of(id));
    } catch (error) {
      if (!isErrno(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) throw error;
      this.#moveAside(String(id));
      renameSync(staged, this.of(id));
    }
  }

  unsettle(id: number, staged: string): void {
    renameSync(this.of(id), staged);
  }

  /**
   * Says what belongs to nothing, and takes it out of its place. `identities` tells the truth only while nobody can create:
   * inside a writing section.
   */
  sweep(identities: readonly SnapshotIdentity[]): Sweep {
    const names = readdirSync(this.root);
    // In another directory under that path nothing of ours would be found.
    if (!names.includes(recordName)) {
      throw new CodedError(
        "ERR_DATA_LOSS",
        `snapshot store ${this.root}: the record is not there: nothing was removed`,
      );
    }
    const gone = this.#gone(identities);
    const owned = new Set(identities.map(({ id }) => String(id)));
    for (const id of gone) owned.delete(String(id));
    const trash: string[] = [];
    const errors: unknown[] = [];
    for (const name of names) {
      if (name.startsWith(trashPrefix)) trash.push(name);
      if (!this.#isOrphan(name, owned)) continue;
      try {
        const moved = this.#moveAside(name);
        if (moved !== undefined) trash.push(moved);
      } catch (error) {
        errors.push(isErrno(error, "EBUSY") ? this.#busy(name, "it") : error);
      }
    }
    return { trash, errors, gone };
  }

  /**
   * Removes the directory that a snapshot had; false if something stands against it, and nothing was done.
   *
   * @throws what keeps the rest of it from being removed
   */
  async removeOf(id: number): Promise<boolean> {
    const name = String(id);
    if (removeEmptyDirectory(join(this.root, name), this.#mount)) return true;
    if ((await MountTable.read()).userOf(this.root, [name]) !== undefined) return false;
    const trash = this.#moveAside(name);
    if (trash !== undefined) await removeTree(this.root, trash, this.#mount);
    return trash !== undefined;
  }

  /** Removes trees by their names; goes on after an error and then throws the first. */
  async remove(names: readonly string[], signal?: AbortSignal): Promise<void> {
    const errors: unknown[] = [];
    let table: MountTable | undefined;
    for (const name of names) {
      signal?.throwIfAborted();
      if (removeEmptyDirectory(join(this.root, name), this.#mount)) continue;
      table ??= await MountTable.read();
      const user = table.userOf(this.root, [name, originalName(name)]);
      if (user === undefined)
        await removeTree(this.root, name, this.#mount).catch((error: unknown) => errors.push(this.#about(name, error)));
      else errors.push(this.#busy(name, user));
    }
    if (errors.length > 0) throw errors[0];
  }

  #about(name: string, error: unknown): unknown {
    const path = join(this.root, name);
    return withSubject(error, `directory ${path}: cannot be removed`, path);
  }

  /** Takes a directory out of its place; returns its name now, or `undefined` if there is none. */
  #moveAside(name: string): string | undefined {
    const trash = trashName(name);
    try {
      renameSync(join(this.root, name), join(this.root, trash));
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
    return trash;
  }

  #isOrphan(name: string, owned: ReadonlySet<string>): boolean {
    if (name.startsWith(stagingPrefix)) return isAbandoned(name);
    return directoryName.test(name) && !owned.has(name);
  }

  #gone(identities: readonly SnapshotIdentity[]): readonly number[] {
    const lost = identities.filter(({ id, kind, hasDirectory }) => {
      return kind !== "committed" && hasDirectory && damageOf(this.of(id))?.kind === "missing";
    });
    return lost.map(({ id }) => id);
  }

  #busy(name: string, user: string): CodedError {
    const path = join(this.root, name);
    return new CodedError("ERR_UNAVAILABLE", `directory ${path}: cannot be removed: ${user} is mounted`);
  }
}
