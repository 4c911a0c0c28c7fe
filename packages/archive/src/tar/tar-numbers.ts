import type { TarTime } from "./tar-entry.ts";

const space = 0x20;
const zero = 0x30;

/** Whether `bytes` has nothing but NUL and blank from `start` to `end`. */
function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (bytes[at] !== 0 && bytes[at] !== space) return false;
  return true;
}

/**
 * A number field of a header: octal digits, ended by NUL, blank or the field's end, or base-256 (GNU).
 * `undefined` if it is anything else, or beyond 2^53.
 */
export function parseNumber(bytes: Uint8Array, start: number, length: number): number | undefined {
  const first = bytes[start] ?? 0;
  if ((first & 0x80) !== 0) return parseBinary(bytes, start, length);
  const end = start + length;
  let at = start;
  while (at < end && bytes[at] === space) at += 1;
  let value = 0;
  for (; at < end; at += 1) {
    const digit = (bytes[at] ?? 0) - zero;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  return isBlank(bytes, at, end) && Number.isSafeInteger(value) ? value : undefined;
}

// Two's complement, big-endian; the first bit only tells that it is base-256, the second is the sign.
function parseBinary(bytes: Uint8Array, start: number, length: number): number | undefined {
  const first = bytes[start] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = negative ? (first & 0x7f) - 0x80 : first & 0x7f;
  for (let at = start + 1; at < start + length; at += 1) {
    value = value * 256 + (bytes[at] ?? 0);
    if (!Number.isSafeInteger(value)) return undefined;
  }
  return value;
}

/** Decimal digits and nothing else, as pax records have them; `undefined` if not, or beyond 2^53. */
export function parseDecimal(text: string): number | undefined {
  if (!/^[0-9]{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A time of a pax record: seconds with an optional fraction, of which nine digits count. */
export function parseTime(text: string): TarTime | undefined {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]*))?$/.exec(text);
  if (match === null) return undefined;
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (!Number.isSafeInteger(seconds)) return undefined;
  if (match[1] === "") return { seconds, nanoseconds };
  if (nanoseconds === 0) return { seconds: seconds === 0 ? 0 : -seconds, nanoseconds };
  return { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}
