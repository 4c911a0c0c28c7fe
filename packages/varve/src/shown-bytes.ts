import { isUtf8 } from "node:buffer";
import { replaceUnprintable } from "./printable.ts";

/** The last bytes of a name that may be no text are as good as any other; a backslash stands for itself only when doubled. */
const escape = (byte: number): string => `\\x${byte.toString(16).padStart(2, "0")}`;

/**
 * A name of an archive for people, in one line: what is not UTF-8, and what a terminal would act on, is written as bytes, `\x1b`,
 * and a backslash as two. Two names never look the same.
 */
export function shownBytes(name: Uint8Array): string {
  const bytes = Buffer.from(name.buffer, name.byteOffset, name.byteLength);
  const text = isUtf8(bytes) ? bytes.toString("utf8") : asciiOrEscaped(bytes);
  return replaceUnprintable(isUtf8(bytes) ? text.replaceAll("\\", "\\\\") : text, (character) =>
    Array.from(Buffer.from(character), escape).join(""),
  );
}

/**
 * A name for JSON, under `key`: text, and beside it, if the name is not UTF-8 and the text is only for people, its bytes in base64
 * under `keyBytes`.
 */
export function jsonBytes(key: string, name: Uint8Array): Readonly<Record<string, string>> {
  const bytes = Buffer.from(name.buffer, name.byteOffset, name.byteLength);
  if (isUtf8(bytes)) return { [key]: bytes.toString("utf8") };
  return { [key]: asciiOrEscaped(bytes), [`${key}Bytes`]: bytes.toString("base64") };
}

function asciiOrEscaped(bytes: Buffer): string {
  return Array.from(bytes, (byte) => {
    if (byte === 0x5c) return "\\\\";
    return byte < 0x80 ? String.fromCharCode(byte) : escape(byte);
  }).join("");
}
