import { CodedError } from "@varve/errors";
import type { Row } from "./database.ts";

export type Labels = Readonly<Record<string, string>>;

/** Key and value together, in bytes (U-MD.2). */
const maxLabelBytes = 4096;

/** @throws ERR_INVALID_ARGUMENT a key is empty, or a label is longer than 4096 bytes */
export function checkLabels(subject: string, labels: Readonly<Record<string, string | undefined>>): void {
  for (const [key, value = ""] of Object.entries(labels)) {
    if (key === "") throw new CodedError("ERR_INVALID_ARGUMENT", `${subject}: a label without a name`);
    const bytes = Buffer.byteLength(key) + Buffer.byteLength(value);
    if (bytes > maxLabelBytes) {
      const name = key.length > 64 ? `${key.slice(0, 64)}…` : key;
      throw new CodedError(
        "ERR_INVALID_ARGUMENT",
        `${subject}: label ${name}: name and value are ${bytes} bytes, the limit is ${maxLabelBytes}`,
      );
    }
  }
}

/** `labels` with `changes` made; `undefined` removes. */
export function changeLabels(labels: Labels, changes: Readonly<Record<string, string | undefined>>): Labels {
  const result = new Map(Object.entries(labels));
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) result.delete(key);
    else result.set(key, value);
  }
  // Not by assignment: a label may be called __proto__.
  return Object.fromEntries(result);
}

/** @throws ERR_DATA_LOSS what is stored are no labels */
export function labelsOf(row: Row | undefined): Labels {
  const text = row?.["labels"] ?? "{}";
  if (text === "{}") return {};
  const stored = parseStored(text);
  return Object.fromEntries(Object.entries(stored).map(([key, value]) => [key, String(value)]));
}

/** A JSON object out of a column. @throws ERR_DATA_LOSS it is none: the database is damaged where nothing else shows it (P07) */
export function parseStored(text: unknown): object {
  try {
    const stored: unknown = JSON.parse(String(text));
    if (typeof stored === "object" && stored !== null) return stored;
  } catch (error) {
    throw new CodedError("ERR_DATA_LOSS", "metadata: a damaged record", { cause: error });
  }
  throw new CodedError("ERR_DATA_LOSS", "metadata: a damaged record");
}
