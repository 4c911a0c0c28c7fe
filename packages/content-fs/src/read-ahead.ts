import { read, readSync } from "node:fs";

/** Bytes of one piece. */
export const pieceSize: number = 512 * 1024;

interface Ahead {
  readonly fd: number;
  readonly position: number;
  readonly buffer: Buffer;
  /** Bytes read; `undefined` until they are there. */
  count: number | undefined;
}

/**
 * Reads files piece by piece, and the next piece while the one before is worked on: another thread copies it out of the
 * system's memory meanwhile. If that thread is late the piece is read here, so that nothing waits for it.
 */
export class ReadAhead {
  #current: Buffer = Buffer.allocUnsafeSlow(pieceSize);
  #spare: Buffer = Buffer.allocUnsafeSlow(pieceSize);
  #ahead: Ahead | undefined;
  readonly #onIdle: (fd: number) => void;

  /** @param onIdle told when a file is not read any more */
  constructor(onIdle: (fd: number) => void) {
    this.#onIdle = onIdle;
  }

  /** The piece from `position` on, none at the end of the file. It is valid until the next one is asked for. */
  piece(fd: number, position: number, end: number): Buffer {
    const wanted = Math.min(pieceSize, end - position);
    const ahead = this.#ahead;
    if (ahead?.fd === fd && ahead.position === position && ahead.count !== undefined && ahead.count > 0) {
      this.#ahead = undefined;
      this.#spare = this.#current;
      this.#current = ahead.buffer;
      return this.#current.subarray(0, Math.min(wanted, ahead.count));
    }
    const count = readSync(fd, this.#current, 0, wanted, position);
    return this.#current.subarray(0, count);
  }

  /** Begins to read the piece from `position` on. Only one is read ahead; what is not fetched is forgotten. */
  start(fd: number, position: number, end: number): void {
    if (this.isBusy() || position >= end) return;
    const ahead: Ahead = { fd, position, buffer: this.#ahead?.buffer ?? this.#spare, count: undefined };
    this.#ahead = ahead;
    read(fd, ahead.buffer, 0, Math.min(pieceSize, end - position), position, (error, count) => {
      // An error is found again, and told, when the piece is asked for.
      ahead.count = error === null ? count : 0;
      this.#onIdle(fd);
    });
  }

  /** Whether something is being read, from this file if one is named. */
  isBusy(fd?: number): boolean {
    const ahead = this.#ahead;
    return ahead !== undefined && ahead.count === undefined && (fd === undefined || ahead.fd === fd);
  }

  /** Forgets what was read of a file that is not busy: its number may be another file's soon. */
  forget(fd: number): void {
    if (this.#ahead?.fd !== fd) return;
    this.#spare = this.#ahead.buffer;
    this.#ahead = undefined;
  }
}
