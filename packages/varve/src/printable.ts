// Control characters but the line feed, and what turns the direction of writing: names, media types and messages come
// from registries and images, and must neither steer the terminal nor hide what they say.
const unprintable = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/g;

/** Text that can be shown: each character that a terminal would act on is a question mark. Line feeds stay. */
export function printable(text: string): string {
  return text.replaceAll(unprintable, "?");
}

/** The same value as JSON, in one line, with every character that a terminal would act on escaped. */
export function printableJson(value: unknown): string {
  const escape = (one: string): string => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replaceAll(unprintable, escape);
}
