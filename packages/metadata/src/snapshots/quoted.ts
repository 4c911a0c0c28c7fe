/** A text as a value in a filter (`@varve/filters`), whatever it has in it. */
export function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(/[^ -~]/gu, escaped);
}

function escaped(character: string): string {
  return `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, "0")}`;
}
