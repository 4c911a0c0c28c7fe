import { close, closeSync, futimesSync, write, writeSync } from "node:fs";
import { promisify } from "node:util";
import { CodedError } from "@varve/errors";

const writeFile = promisify(write);
const closeFile = promisify(close);

/** The file that an ingest is written to. A bare descriptor, because the hash thread reads through it as well. */
export class DataFile {
  readonly fd: number;
  #closing: Promise<void> | undefined;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Writes all of `bytes`: the system may take fewer at once than it was given (F07). */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.byteLength;) {
      const { bytesWritten } = await writeFile(this.fd, bytes, done, bytes.byteLength - done, position + done);
      done += mustBeSome(bytesWritten);
    }
  }

  /** The same on this thread: for a few bytes it takes less time than asking another thread. */
  writeNow(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.byteLength;) {
      done += mustBeSome(writeSync(this.fd, bytes, done, bytes.byteLength - done, position + done));
    }
  }

  /** Sets the time that tells when the writer last brought something forward. */
  touch(time: Date = new Date()): void {
    if (this.#closing === undefined) futimesSync(this.fd, time, time);
  }

  /** Closing twice is allowed. */
  close(): Promise<void> {
    this.#closing ??= closeFile(this.fd);
    return this.#closing;
  }

  /** The same on this thread: quick as long as the file has a name, so that nothing has to be freed. */
  closeNow(): void {
    if (this.#closing !== undefined) return;
    this.#closing = Promise.resolve();
    closeSync(this.fd);
  }
}

function mustBeSome(written: number): number {
  if (written === 0) throw new CodedError("ERR_UNAVAILABLE", "ingest data: the system took no more bytes");
  return written;
}
