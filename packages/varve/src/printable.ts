// Control characters, and what breaks lines or turns the direction of writing: names, media types and messages come from
// registries and images, and must neither steer the terminal nor hide what they say.
const unprintable = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu;

/** One line that can be shown: each character that a terminal would act on is a question mark. */
export function printable(line: string): string {
  return replaceUnprintable(line, () => "?");
}

/** The text with something else for each character that a terminal would act on. */
export function replaceUnprintable(text: string, replace: (character: string) => string): string {
  return text.replaceAll(unprintable, replace);
}

/** A value as JSON, in one line, with every character that a terminal would act on escaped. */
export function printableJson(value: unknown): string {
  return replaceUnprintable(JSON.stringify(value), escaped);
}

/** The same in several lines. */
export function printableJsonLines(value: unknown): readonly string[] {
  const lines = JSON.stringify(value, undefined, 2).split("\n");
  return lines.map((line) => replaceUnprintable(line, escaped));
}

function escaped(character: string): string {
  return String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
