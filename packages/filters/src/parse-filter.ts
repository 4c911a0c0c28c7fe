import { parseError } from "./parse-error.ts";
import { unquote } from "./unquote.ts";

/** One condition: `path`, alone for presence, or held against `value` by `operator`. */
export interface Selector {
  /** `labels."a.b"==x` has the path `["labels", "a.b"]`. */
  readonly path: readonly [string, ...string[]];
  readonly operator: "present" | "==" | "!=" | "~=";
  /** Empty for `present`. */
  readonly value: string;
}

/**
 * Reads one filter: the selectors that must all hold, none for an empty text (U-SUP.1).
 *
 * ```
 * filter   := selector ("," selector)*
 * selector := path (operator value)?
 * path     := field ("." field)*
 * field    := [A-Za-z0-9_-]+ | quoted
 * operator := "==" | "!=" | "~="
 * value    := text without spaces and commas | quoted
 * quoted   := a Go string in double quotes; as the value of "~=" also between slashes or vertical bars
 * ```
 *
 * As in containerd, spaces may stand before a field, an operator and a value, and nowhere else.
 *
 * @throws ERR_INVALID_ARGUMENT the text is no filter; the message quotes it and names the position
 */
export function parseFilter(text: string): readonly Selector[] {
  if (text === "") return [];
  const reader = new FilterReader(text);
  const selectors = [reader.selector()];
  while (!reader.atEnd()) {
    if (!reader.take(",")) throw reader.error("expected a comma or the end");
    selectors.push(reader.selector());
  }
  return selectors;
}

// NUL, U+FFFD and halves of surrogate pairs are errors wherever they stand, as NUL and invalid UTF-8 are in containerd.
const space = /\p{White_Space}*/uy;
const field = /[A-Za-z0-9_-]+/y;
const operator = /[=!~]+/y;
const value = /[^\0\uFFFD\p{Cs}\p{White_Space},./|"=!~](?:(?![,\uFFFD])[\p{L}\p{M}\p{N}\p{P}\p{S}])*/uy;

class FilterReader {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    return this.#position === this.#text.length;
  }

  take(character: string): boolean {
    if (this.#text[this.#position] !== character) return false;
    this.#position += 1;
    return true;
  }

  selector(): Selector {
    const path: [string, ...string[]] = [this.#field()];
    while (this.take(".")) path.push(this.#field());
    if (this.atEnd() || this.#text[this.#position] === ",") return { path, operator: "present", value: "" };
    const compared = this.#operator();
    return { path, operator: compared, value: this.#value(compared) };
  }

  error(what: string, position: number = this.#position): Error {
    return parseError(this.#text, position, what);
  }

  #field(): string {
    this.#match(space);
    if (this.#text[this.#position] === '"') return this.#quoted();
    return (
      this.#match(field) ?? this.#refuse("expected a field: letters, digits, - and _, or anything in double quotes")
    );
  }

  #operator(): "==" | "!=" | "~=" {
    this.#match(space);
    const start = this.#position;
    const found = this.#match(operator);
    if (found === "==" || found === "!=" || found === "~=") return found;
    if (found !== undefined) throw this.error(`operator ${found} is none of ==, != and ~=`, start);
    return this.#refuse(
      "expected one of ==, != and ~=; other names than of letters, digits, - and _ go in double quotes",
    );
  }

  #value(compared: string): string {
    this.#match(space);
    const quote = this.#text[this.#position];
    if (quote === '"') return this.#quoted();
    if (quote === "/" || quote === "|") {
      if (compared === "~=") return this.#quoted();
      return this.#refuse(`a value that begins with ${quote} goes in double quotes`);
    }
    return this.#match(value) ?? this.#refuse("expected a value");
  }

  #quoted(): string {
    const { text, end } = unquote(this.#text, this.#position);
    this.#position = end;
    return text;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#position += found.length;
    return found;
  }

  #refuse(what: string): never {
    throw this.error(what);
  }
}
