import { replaceUnprintable } from "./printable.ts";

/** Nothing in such a word means anything to a shell. */
const harmless = /^[\w@%+=:,./-]+$/;

/**
 * One word of a shell command, quoted if need be. What a terminal would act on is written as octal bytes in `$'…'`, which bash,
 * zsh and POSIX shells of 2024 read.
 */
export function shellWord(text: string): string {
  if (harmless.test(text)) return text;
  if (replaceUnprintable(text, () => "") === text) return `'${text.replaceAll("'", String.raw`'\''`)}'`;
  return `$'${replaceUnprintable(text.replaceAll(/[\\']/g, String.raw`\$&`), octal)}'`;
}

function octal(character: string): string {
  return [...Buffer.from(character)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}
