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

/** Gets a list and prints it on standard output: as a table, as names only, or as one JSON object. */
export async function printList<T>(
  { json, quiet }: ListOptions,
  form: ListForm<T>,
  list: () => Promise<readonly T[]>,
): Promise<void> {
  if (json === true && quiet === true) throw new UsageError("--quiet and --json: only one of them can be had");
  const items = await list();
  await printResult(json, { [form.key]: items }, () =>
    quiet === true ? items.map(form.name) : formatTable([form.header, ...items.map(form.row)]),
  );
}

/** Prints one line for people on standard error. What cannot be shown is lost. */
export function printNote(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/**
 * A reader that went away (`varve images ls | head -1`, `varve pull … 2>&1 | head -1`) ends nothing: the work is done all the
 * same. Other failures of standard output, such as a full disk, reach whoever awaits the write.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}

/** Writes to standard output, unchanged. Says whether there is still somebody who reads. */
export async function writeOutput(data: string | Uint8Array): Promise<boolean> {
  return new Promise((resolve, reject) => {
    process.stdout.write(data, (error) => {
      if (error === undefined || error === null) resolve(true);
      else if (isReaderGone(error)) resolve(false);
      else reject(new Error(`standard output: ${error.message}`, { cause: error }));
    });
  });
}

function isReaderGone(error: Error): boolean {
  // The first write after the reader went away fails with the first code, those after it with the others.
  return "code" in error && (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED");
}
