import { Refusal } from "../entry-error.ts";
import type { PaxRecords } from "./pax-records.ts";
import { parseDecimal } from "./tar-numbers.ts";
import { parsePairs, type SparsePiece } from "./tar-sparse.ts";

/** What the records of a sparse file say. */
export interface SparseRecords {
  /** Bytes of the file, holes counted. */
  readonly size: number;
  /** `undefined` if the map is at the start of the content (format 1.0). */
  readonly map: readonly SparsePiece[] | undefined;
}

/**
 * Reads the `GNU.sparse.` records of an extended header (GNU tar manual, "Storing Sparse Files"); `undefined` if there are
 * none. Whoever does not know them sees another name and other content, so nothing is guessed.
 */
export function sparseRecords(records: PaxRecords): SparseRecords | undefined {
  const { values, sparse } = records;
  if (sparse.length === 0 && ![...values.keys()].some((key) => key.startsWith("GNU.sparse."))) return undefined;
  const text = (key: string): string | undefined => values.get(`GNU.sparse.${key}`)?.toString("latin1");
  const version = `${text("major") ?? "0"}.${text("minor") ?? "0"}`;
  if (version === "1.0") {
    if (sparse.length > 0 || text("map") !== undefined) throw wrong("two maps");
    return { size: sizeOf(text("realsize"), text("size")), map: undefined };
  }
  if (version !== "0.0" && version !== "0.1") {
    throw new Refusal("sparse-version", "a sparse file of an unknown format", "ERR_NOT_IMPLEMENTED");
  }
  const size = sizeOf(text("size"), text("realsize"));
  const map = text("map");
  if (map !== undefined && sparse.length > 0) throw wrong("two maps");
  const pieces = parsePairs(map === undefined ? sparse : map === "" ? [] : map.split(","));
  if (pieces === undefined) throw wrong("a malformed map");
  const count = text("numblocks");
  if (count !== undefined && parseDecimal(count) !== pieces.length) throw wrong("a map of another length than it says");
  return { size, map: pieces };
}

function sizeOf(text: string | undefined, other: string | undefined): number {
  const size = parseDecimal(text ?? "");
  if (size === undefined) throw wrong("no size");
  if (other !== undefined && parseDecimal(other) !== size)
    throw new Refusal("size-twice", "a sparse file has two sizes");
  return size;
}

function wrong(what: string): Refusal {
  return new Refusal("sparse-map", `a sparse file has ${what}`);
}
