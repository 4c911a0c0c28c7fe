import { parseError } from "./parse-error.ts";

const simple: ReadonlyMap<string | undefined, number> = new Map([
  ["a", 7],
  ["b", 8],
  ["f", 12],
  ["n", 10],
  ["r", 13],
  ["t", 9],
  ["v", 11],
  ["\\", 92],
]);
const octal = /[0-7]{3}/y;
const hexadecimal: ReadonlyMap<string | undefined, RegExp> = new Map([
  ["x", /x([0-9a-fA-F]{2})/y],
  ["u", /u([0-9a-fA-F]{4})/y],
  ["U", /U([0-9a-fA-F]{8})/y],
]);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads the quoted text that begins with the quote at `start`, with the escapes of a Go string; of the quotes only the
 * one around it may be escaped. `end` is the position behind the closing quote.
 */
export function unquote(filter: string, start: number): { readonly text: string; readonly end: number } {
  const quote = filter[start] ?? "";
  const parts: Uint8Array[] = [];
  let position = start + 1;
  for (let from = position; ;) {
    const character = filter[position];
    if (character !== quote && character !== "\\" && isText(filter, position)) {
      position += 1;
      continue;
    }
    parts.push(Buffer.from(filter.slice(from, position)));
    if (character === quote) break;
    if (character !== "\\") throw parseError(filter, start, "the quoted text does not end");
    const escape = escaped(filter, position + 1, quote);
    parts.push(escape.bytes);
    position = escape.end;
    from = position;
  }
  try {
    return { text: decoder.decode(Buffer.concat(parts)), end: position + 1 };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw parseError(filter, start, "the bytes of the quoted text are not UTF-8");
  }
}

/** One escape, from behind its backslash. */
function escaped(filter: string, at: number, quote: string): { readonly bytes: Uint8Array; readonly end: number } {
  const kind = filter[at];
  const byte = kind === quote ? quote.charCodeAt(0) : simple.get(kind);
  if (byte !== undefined) return { bytes: Uint8Array.of(byte), end: at + 1 };
  const pattern = hexadecimal.get(kind) ?? octal;
  pattern.lastIndex = at;
  const match = pattern.exec(filter);
  if (match === null) throw parseError(filter, at - 1, "no escape of a Go string; a backslash itself is written twice");
  const code = pattern === octal ? Number.parseInt(match[0], 8) : Number.parseInt(match[1] ?? "", 16);
  const end = at + match[0].length;
  const isByte = pattern === octal || kind === "x";
  if (code > (isByte ? 0xff : 0x10_ffff)) throw parseError(filter, at - 1, "the number of the escape is too large");
  return { bytes: isByte ? Uint8Array.of(code) : Buffer.from(String.fromCodePoint(code)), end };
}

/** False at the end, and for what may not stand in a filter. */
function isText(filter: string, position: number): boolean {
  const code = filter.codePointAt(position);
  if (code === undefined || code === 0 || code === 10 || code === 0xfffd) return false;
  // The second half of a pair is seen alone here, and belongs to the first.
  if (code < 0xdc00 || code > 0xdfff) return code < 0xd800 || code > 0xdbff;
  return position > 0 && (filter.codePointAt(position - 1) ?? 0) > 0xffff;
}
