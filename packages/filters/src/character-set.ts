/** First and last code point, both within. */
export type Range = readonly [number, number];

/** What one character can be. */
export type CharacterTest = (codePoint: number) => boolean;

const last = 0x10_ffff;

/** Sets that RE2 has by a letter (`\d`) or a name (`[:alpha:]`): ASCII only, whatever JavaScript means by the same letter. */
export const namedSets: ReadonlyMap<string, readonly Range[]> = new Map<string, readonly Range[]>([
  ["d", ranges("09")],
  ["s", ranges("\t\n\f\r  ")],
  ["w", ranges("09AZ__az")],
  ["alnum", ranges("09AZaz")],
  ["alpha", ranges("AZaz")],
  ["ascii", ranges("\0\u007F")],
  ["blank", ranges("\t\t  ")],
  ["cntrl", ranges("\0\u001F\u007F\u007F")],
  ["digit", ranges("09")],
  ["graph", ranges("!~")],
  ["lower", ranges("az")],
  ["print", ranges(" ~")],
  ["punct", ranges("!/:@[`{~")],
  ["space", ranges("\t\r  ")],
  ["upper", ranges("AZ")],
  ["word", ranges("09AZ__az")],
  ["xdigit", ranges("09AFaf")],
]);

export function complement(sorted: readonly Range[]): readonly Range[] {
  const result: Range[] = [];
  let next = 0;
  for (const [from, to] of sorted) {
    if (from > next) result.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= last) result.push([next, last]);
  return result;
}

/** A Unicode category (`L`, `Lu`) or script (`Greek`) as a part of a JavaScript class; `undefined` if there is none. */
export function unicodeProperty(name: string, negated: boolean): string | undefined {
  const property = name === "Any" || /^[A-Z][a-z]?$/.test(name) ? name : `Script=${name}`;
  const source = `\\${negated ? "P" : "p"}{${property}}`;
  try {
    return /^[A-Za-z_]+$/.test(name) && new RegExp(source, "u") ? source : undefined;
  } catch {
    return undefined;
  }
}

/** Ranges as a part of a JavaScript class. */
export function sourceOf(parts: readonly Range[]): string {
  return parts.map(([from, to]) => `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`).join("");
}

/** The test of a JavaScript class: `source` is what stands between the brackets. */
export function characterTest(source: string, options: { negated: boolean; ignoreCase: boolean }): CharacterTest {
  // An empty class is legal in JavaScript too, and matches nothing.
  const pattern = new RegExp(`^[${options.negated ? "^" : ""}${source}]$`, options.ignoreCase ? "iu" : "u");
  const test: CharacterTest = (codePoint) => pattern.test(String.fromCodePoint(codePoint));
  const ascii = Array.from({ length: 128 }, (_, codePoint) => test(codePoint));
  return (codePoint) => ascii[codePoint] ?? test(codePoint);
}

function ranges(ends: string): readonly Range[] {
  const codes = Array.from(ends, (character) => character.charCodeAt(0));
  return Array.from({ length: codes.length / 2 }, (_, index) => [codes[2 * index] ?? 0, codes[2 * index + 1] ?? 0]);
}
