import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "./errno.ts";
import { directoryName } from "./lost-record.ts";
import { removeTree } from "./remove-tree.ts";
import { isAbandoned, stagingName, stagingPrefix, trashName, trashPrefix } from "./staging.ts";

/** The directories below the root of a store. What is synchronous runs inside a section of the database. */
export class Directories {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  of(id: number): string {
    return join(this.root, String(id));
  }

  /** A new directory that no cleanup takes while this process lives. */
  stage(): string {
    const staged = join(this.root, stagingName());
    mkdirSync(staged, { mode: 0o700 });
    return staged;
  }

  /** Gives a staged directory its place. What is there has no record, for the caller just got the id: it goes aside. */
  settle(staged: string, id: number): void {
    try {
      renameSync(staged, this.of(id));
    } catch (error) {
      if (!isErrno(error, "ENOTEMPTY", "EEXIST", "ENOTDIR")) throw error;
      this.moveAside(String(id));
      renameSync(staged, this.of(id));
    }
  }

  /** Takes a directory out of its place; returns where it is now, or `undefined` if there is none. */
  moveAside(name: string): string | undefined {
    const trash = join(this.root, trashName());
    try {
      renameSync(join(this.root, name), trash);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
    return trash;
  }

  /**
   * Moves aside what belongs to nothing, and returns all that is to be removed. `hasRecord` tells the truth only while
   * nobody can create: inside a writing section.
   */
  sweep(hasRecord: (id: number) => boolean): readonly string[] {
    const trash: string[] = [];
    for (const name of readdirSync(this.root)) {
      if (name.startsWith(trashPrefix)) trash.push(join(this.root, name));
      else if (this.#isOrphan(name, hasRecord)) {
        const moved = this.moveAside(name);
        if (moved !== undefined) trash.push(moved);
      }
    }
    return trash;
  }

  /** Removes trees; goes on after an error and then throws the first. */
  async remove(paths: readonly string[], signal?: AbortSignal): Promise<void> {
    const errors: unknown[] = [];
    for (const path of paths) {
      signal?.throwIfAborted();
      await removeTree(path).catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) throw errors[0];
  }

  #isOrphan(name: string, hasRecord: (id: number) => boolean): boolean {
    if (name.startsWith(stagingPrefix)) return isAbandoned(name);
    return directoryName.test(name) && !hasRecord(Number(name));
  }
}
