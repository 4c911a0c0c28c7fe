import { constants } from "node:fs";
import { access, mkdir, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "@varve/errors";
import { quote } from "../subject.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * A directory that stays the one that was opened, whatever others put in its place meanwhile: where there is /proc, its files
 * are reached through the descriptor and not by the path. No link in it is ever followed.
 */
export class HeldDirectory {
  /** For messages. */
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #base: string;

  private constructor(path: string, handle: FileHandle, base: string) {
    this.path = path;
    this.#handle = handle;
    this.#base = base;
  }

  /** Opens the directory that a caller names; links on the way there are the caller's own. */
  static async open(path: string): Promise<HeldDirectory> {
    return HeldDirectory.#hold(path, await open(path, O_RDONLY | O_DIRECTORY));
  }

  static async #hold(path: string, handle: FileHandle): Promise<HeldDirectory> {
    const base = `/proc/self/fd/${handle.fd}`;
    const hasProc = await access(base).then(
      () => true,
      () => false,
    );
    return new HeldDirectory(path, handle, hasProc ? base : path);
  }

  /**
   * Opens a directory in this one, if it is there.
   *
   * @throws ERR_INVALID_DATA it is a link or no directory
   */
  async child(name: string): Promise<HeldDirectory | undefined> {
    const path = join(this.path, name);
    try {
      return await HeldDirectory.#hold(path, await open(this.at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      if (isErrno(error, "ELOOP") || isErrno(error, "ENOTDIR")) throw unfit(path, "not a directory", error);
      throw error;
    }
  }

  /** Opens a directory in this one, and makes it if it is not there. */
  async madeChild(name: string): Promise<HeldDirectory> {
    await mkdir(this.at(name), { mode: 0o755 }).catch((error: unknown) => {
      if (!isErrno(error, "EEXIST")) throw error;
    });
    const child = await this.child(name);
    if (child === undefined) throw new CodedError("ERR_ABORTED", `${join(this.path, name)}: removed by somebody else`);
    return child;
  }

  /**
   * Opens a file for reading, if it is there.
   *
   * @throws ERR_INVALID_DATA it is a link or no file
   */
  async file(name: string): Promise<FileHandle | undefined> {
    const path = join(this.path, name);
    let handle: FileHandle;
    try {
      // A pipe without a writer would not open, ever.
      handle = await open(this.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      if (isErrno(error, "ELOOP")) throw unfit(path, "a link, which is not followed", error);
      if (isErrno(error, "ENXIO")) throw unfit(path, "not a file", error);
      throw error;
    }
    const stats = await handle.stat();
    if (stats.isFile()) return handle;
    await handle.close();
    throw unfit(path, "not a file");
  }

  /** Makes a file that must not be there yet, for writing. */
  async newFile(name: string): Promise<FileHandle> {
    return open(this.at(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
  }

  /** What to hand to calls that take a path and follow no link at its end. */
  at(name: string): string {
    return join(this.#base, name);
  }

  /** Makes what was renamed into it survive a power cut. */
  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function unfit(path: string, why: string, cause?: unknown): CodedError {
  return new CodedError("ERR_INVALID_DATA", `layout: ${quote(path)}: ${why}`, { cause });
}
