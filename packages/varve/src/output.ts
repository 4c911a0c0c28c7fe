import { printable, printableJson } from "./printable.ts";

/** Prints a command's result on standard output: lines for people, or one JSON object. */
export async function printResult(
  json: boolean | undefined,
  value: unknown,
  lines: () => readonly string[],
): Promise<void> {
  const printed = json === true ? [printableJson(value)] : lines().map(printable);
  if (printed.length > 0) await write(`${printed.join("\n")}\n`);
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

async function write(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error === undefined || error === null || ("code" in error && error.code === "EPIPE")) resolve();
      else reject(new Error(`standard output: ${error.message}`, { cause: error }));
    });
  });
}
