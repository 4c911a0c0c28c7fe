import { mustHaveOneForm, writeOutput } from "./output.ts";
import type { ListOptions } from "./output.ts";
import { printable, printableJson } from "./printable.ts";

/** The forms of a list that may be too long to be held. */
export interface StreamForm<T> {
  /** Holds the list in the JSON object. */
  readonly key: string;
  /** Of the columns; the last one is as wide as it is. Absent: lines have no header. */
  readonly header?: readonly string[] | undefined;
  readonly row: (item: T) => readonly string[];
  /** One line, as an argument for another command. */
  readonly name: (item: T) => string;
  readonly json: (item: T) => unknown;
}

/** Bytes that are written at a time. */
const batchBytes = 64 * 1024;

/**
 * Prints a list as it comes, on standard output: as a table whose columns grow, as names only, or as one JSON object. With what
 * `items` returns, an object, the JSON ends.
 * A reader that goes away ends the list.
 */
export async function printStream<T>(
  options: ListOptions & { readonly signal: AbortSignal },
  form: StreamForm<T>,
  items: AsyncGenerator<T, object | void, undefined>,
): Promise<void> {
  mustHaveOneForm(options);
  const { json, quiet, signal } = options;
  const lines = json === true ? jsonPieces(form, items) : textLines(form, items, quiet === true);
  let batch = "";
  for await (const piece of lines) {
    batch += piece;
    if (batch.length < batchBytes) continue;
    if (!(await writeOutput(batch, signal))) return;
    batch = "";
  }
  if (batch !== "") await writeOutput(batch, signal);
}

async function* textLines<T>(
  { header, name, row }: StreamForm<T>,
  items: AsyncIterable<T>,
  quiet: boolean,
): AsyncGenerator<string, void, undefined> {
  const widths: number[] = [];
  const line = (cells: readonly string[]): string => {
    const padded = cells.slice(0, -1).map((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
      return cell.padEnd(widths[column]);
    });
    return `${printable([...padded, cells.at(-1)].join("  "))}\n`;
  };
  if (header !== undefined && !quiet) yield line(header);
  for await (const item of items) yield quiet ? `${printable(name(item))}\n` : line(row(item));
}

async function* jsonPieces<T>(
  { json, key }: StreamForm<T>,
  items: AsyncGenerator<T, object | void, undefined>,
): AsyncGenerator<string, void, undefined> {
  yield `{${JSON.stringify(key)}:[`;
  let separator = "";
  let next = await items.next();
  try {
    for (; next.done !== true; next = await items.next()) {
      yield `${separator}${printableJson(json(next.value))}`;
      separator = ",";
    }
  } finally {
    await items.return(undefined);
  }
  const rest = next.value === undefined ? "{}" : printableJson(next.value);
  yield rest === "{}" ? "]}\n" : `],${rest.slice(1)}\n`;
}
