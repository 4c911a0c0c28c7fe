import { CodedError } from "@varve/errors";

const shown = 60;

/** The message holds the filter with a mark at the position, counted in characters from 1. */
export function parseError(text: string, position: number, what: string): CodedError {
  const column = Array.from(text.slice(0, position)).length + 1;
  const where = position === text.length ? "at the end" : `at ${column}, ${printable(text.slice(position))}`;
  return new CodedError("ERR_INVALID_ARGUMENT", `filter ${printable(text)}: ${where}: ${what}`);
}

/** A filter can come from anywhere: nothing that a terminal obeys and no flood in messages. */
export function printable(text: string): string {
  const quoted = JSON.stringify(text.length > shown ? `${text.slice(0, shown)}…` : text);
  return quoted.replaceAll(/[\u007F-\u009F\u2028\u2029]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
