import { UsageError } from "../exit-code.ts";
import { writeOutput } from "../output.ts";
import { writeFileWhole } from "./write-file-whole.ts";

/** Where a command puts bytes that are no text. */
export interface ByteOutput {
  /** Whether it is a file, so that standard output is free for other things. */
  readonly isFile: boolean;
  /** Whether nobody reads standard output any more: the rest need not be made. */
  readonly isReaderGone: boolean;
  write(bytes: AsyncIterable<Uint8Array>): Promise<void>;
}

interface OutputOptions {
  /** Whether there is something else for standard output. */
  readonly json?: boolean | undefined;
  /** Ends the waiting for whoever reads standard output. */
  readonly signal: AbortSignal;
}

/**
 * Standard output if nothing is said, or a file, which is there only when all of it is.
 *
 * @throws UsageError standard output is a terminal, and nobody has said `-`, or it is wanted for JSON, too
 */
export function byteOutput(command: string, output: string | undefined, { json, signal }: OutputOptions): ByteOutput {
  if (output !== undefined && output !== "-") {
    return { isFile: true, isReaderGone: false, write: (bytes) => writeFileWhole(output, bytes) };
  }
  if (json === true) throw new UsageError(`${command}: with --json, bytes go to a file: say --output FILE`);
  if (output === undefined && process.stdout.isTTY) {
    throw new UsageError(`${command}: nothing for a terminal, use --output FILE, or - to get it anyway`);
  }
  return new StandardOutput(signal);
}

class StandardOutput implements ByteOutput {
  readonly isFile: boolean = false;
  readonly #signal: AbortSignal;
  #isReaderGone = false;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get isReaderGone(): boolean {
    return this.#isReaderGone;
  }

  async write(bytes: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of bytes) {
      if (await writeOutput(chunk, this.#signal)) continue;
      this.#isReaderGone = true;
      return;
    }
  }
}

/** Makes bytes, and gives nothing if nobody wants the rest of them. */
export async function unlessUnread<T>(output: ByteOutput, make: () => Promise<T>): Promise<T | undefined> {
  try {
    return await make();
  } catch (error) {
    if (output.isReaderGone) return undefined;
    throw error;
  }
}
