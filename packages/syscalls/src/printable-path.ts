import type { PathLike } from "./path-like.ts";

/**
 * A path for people: UTF-8 where it is UTF-8, and every byte that is not, or that could steer a terminal,
 * as `\xNN`.
 */
export function printablePath(path: PathLike): string {
  const text = typeof path === "string" ? path : decodeBytes(path);
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) =>
    Array.from(Buffer.from(character), hexEscape).join(""),
  );
}

function decodeBytes(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : hexEscape(byte))).join("");
  }
}

function hexEscape(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}
