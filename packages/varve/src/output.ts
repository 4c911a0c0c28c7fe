import { UsageError } from "./exit-code.ts";
import { formatTable } from "./format.ts";
import { printable, printableJson } from "./printable.ts";

/** Prints a command's result on standard output: lines for people, or one JSON object. */
export async function printResult(
  json: boolean | undefined,
  value: unknown,
  lines: () => readonly string[],
): Promise<void> {
  const printed = json === true ? [printableJson(value)] : lines().map(printable);
  if (printed.length > 0) await writeOutput(`${printed.join("\n")}\n`);
}

/** How a list is printed. */
export interface ListOptions {
  readonly json?: boolean;
  /** Names only, as arguments for another command. */
  readonly quiet?: boolean;
}

/** The forms of one list. */
export interface ListForm<T> {
  /** Holds the list in the JSON object. */
  readonly key: string;
  readonly header: readonly string[];
  readonly row: (item: T) => readonly string[];
  readonly name: (item: T) => string;
}

/** @throws UsageError a list is wanted in two forms */
export function mustHaveOneForm({ json, quiet }: ListOptions): void {
  if (json === true && quiet === true) throw new UsageError("--quiet and --json: only one of them can be had");
}

/** Gets a list and prints it on standard output: as a table, as names only, or as one JSON object. */
export async function printList<T>(
  options: ListOptions,
  form: ListForm<T>,
  list: () => Promise<readonly T[]>,
): Promise<void> {
  mustHaveOneForm(options);
  const { json, quiet } = options;
  const items = await list();
  await printResult(json, { [form.key]: items }, () =>
    quiet === true ? items.map(form.name) : formatTable([form.header, ...items.map(form.row)]),
  );
}

const toStandardError = (line: string): void => void process.stderr.write(`${line}\n`);
let writeNote = toStandardError;

/** Prints one line for people on standard error. What cannot be shown is lost. */
export function printNote(text: string): void {
  writeNote(printable(text));
}

/** Has notes written by whoever draws on the terminal meanwhile, until the function that it gives is called. */
export function divertNotes(write: (line: string) => void): () => void {
  writeNote = write;
  return () => {
    writeNote = toStandardError;
  };
}

/**
 * A reader that went away (`varve images ls | head -1`, `varve pull … 2>&1 | head -1`) ends nothing: the work is done all the
 * same. Other failures of standard output, such as a full disk, reach whoever awaits the write.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}

/**
 * Writes to standard output, unchanged. Says whether there is still somebody who reads. Once `signal` aborts, a reader that does
 * not read is no longer waited for.
 */
export async function writeOutput(data: string | Uint8Array, signal?: AbortSignal): Promise<boolean> {
  signal?.throwIfAborted();
  const { promise, reject, resolve } = Promise.withResolvers<boolean>();
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  process.stdout.write(data, (error) => {
    if (error === undefined || error === null) resolve(true);
    else if (isReaderGone(error)) resolve(false);
    else reject(new Error(`standard output: ${error.message}`, { cause: error }));
  });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function isReaderGone(error: Error): boolean {
  // The first write after the reader went away fails with the first code, those after it with the others.
  return "code" in error && (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED");
}
