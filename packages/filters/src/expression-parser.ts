import { characterTest, complement, namedSets, sourceOf, unicodeProperty } from "./character-set.ts";
import type { CharacterTest } from "./character-set.ts";

/** A place between two characters. */
export type Place = "text start" | "text end" | "line start" | "line end" | "word edge" | "no word edge";

export type Node =
  | { readonly type: "character"; readonly test: CharacterTest }
  | { readonly type: "place"; readonly place: Place }
  | { readonly type: "sequence"; readonly parts: readonly Node[] }
  | { readonly type: "choice"; readonly parts: readonly Node[] }
  | { readonly type: "repeat"; readonly part: Node; readonly min: number; readonly max: number };

/** The largest count that RE2 takes. */
const maxRepeat = 1000;

const escapes: ReadonlyMap<string | undefined, number> = new Map([
  ["a", 7],
  ["f", 12],
  ["n", 10],
  ["r", 13],
  ["t", 9],
  ["v", 11],
]);

const places: ReadonlyMap<string | undefined, Place> = new Map([
  ["A", "text start"],
  ["z", "text end"],
  ["b", "word edge"],
  ["B", "no word edge"],
] as const);

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

/**
 * Reads the syntax of RE2, which is that of Go (https://github.com/google/re2/wiki/Syntax): no look-around and no back
 * references, so that a match takes linear time. What only matters for the text found (laziness, groups) is read and
 * forgotten.
 *
 * @throws SyntaxError
 */
export class ExpressionParser {
  readonly #pattern: string;
  #position = 0;
  #flags: Flags = { i: false, m: false, s: false };

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  parse(): Node {
    const node = this.#choice();
    if (this.#position < this.#pattern.length) throw new SyntaxError("unexpected )");
    return node;
  }

  #choice(): Node {
    const parts = [this.#sequence()];
    while (this.#take("|")) parts.push(this.#sequence());
    return { type: "choice", parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      const part = this.#atom();
      if (part !== undefined) parts.push(this.#repeated(part));
    }
    return { type: "sequence", parts };
  }

  /** Nothing where flags are set for what follows. */
  #atom(): Node | undefined {
    if (this.#take("(")) return this.#group();
    if (this.#take("[")) return this.#class();
    if (this.#take("^")) return { type: "place", place: this.#flags.m ? "line start" : "text start" };
    if (this.#take("$")) return { type: "place", place: this.#flags.m ? "line end" : "text end" };
    if (this.#take(".")) return this.#set(this.#flags.s ? "" : "\\n", true);
    if (this.#take("\\")) return this.#escape();
    if (this.#match(/[*+?]|\{\d+(?:,\d*)?\}/y) !== undefined) throw new SyntaxError("nothing to repeat");
    return this.#literal(this.#codePoint());
  }

  #repeated(part: Node): Node {
    const operator = this.#match(/([*+?])\??|\{(\d+)(,(\d*))?\}\??/y);
    if (operator === undefined) return part;
    if (this.#test(/[*+?]|\{\d+(?:,\d*)?\}/y)) throw new SyntaxError("a repetition of a repetition needs brackets");
    const [, sign, count, comma, limit] = operator;
    if (sign !== undefined) {
      return { type: "repeat", part, min: sign === "+" ? 1 : 0, max: sign === "?" ? 1 : Infinity };
    }
    const min = Number(count);
    const max = comma === undefined ? min : limit === "" ? Infinity : Number(limit);
    const counts = [min, max === Infinity ? min : max];
    if (min > max || counts.some((value) => value > maxRepeat))
      throw new SyntaxError(`repetition ${operator[0]} is too large`);
    return { type: "repeat", part, min, max };
  }

  #group(): Node | undefined {
    const outer = this.#flags;
    if (this.#take("?") && this.#match(/P?<[A-Za-z_]\w*>/y) === undefined) {
      const flags = this.#match(/([imsU]*)(?:-([imsU]+))?([:)])/y);
      if (flags === undefined) throw new SyntaxError("(? is followed by nothing known; look-around is not supported");
      const [, on = "", off = "", end] = flags;
      const set = (flag: keyof Flags): boolean => (on.includes(flag) || outer[flag]) && !off.includes(flag);
      this.#flags = { i: set("i"), m: set("m"), s: set("s") };
      if (end === ")") return undefined;
    }
    const node = this.#choice();
    if (!this.#take(")")) throw new SyntaxError("a ( is not closed");
    this.#flags = outer;
    return node;
  }

  /** Behind a backslash. */
  #escape(): Node {
    const place = places.get(this.#peek());
    if (place !== undefined) {
      this.#position += 1;
      return { type: "place", place };
    }
    if (this.#take("Q")) {
      const text = this.#match(/([^]*?)(?:\\E|$)/y)?.[1] ?? "";
      return { type: "sequence", parts: Array.from(text, (character) => this.#literal(character.codePointAt(0) ?? 0)) };
    }
    const set = this.#escapedSet();
    if (set !== undefined) return this.#set(set, false);
    return this.#literal(this.#escapedCharacter());
  }

  /** `\d` and the like, `\pL`, `\p{Greek}`. */
  #escapedSet(): string | undefined {
    const letter = this.#match(/[dswDSW]/y)?.[0];
    if (letter !== undefined) {
      const set = namedSets.get(letter.toLowerCase()) ?? [];
      return sourceOf(letter === letter.toLowerCase() ? set : complement(set));
    }
    const property = this.#match(/([pP])(?:([A-Za-z])|\{(\^?)(\w+)\})/y);
    if (property === undefined) return undefined;
    const [text, kind, short, not, long] = property;
    const source = unicodeProperty(short ?? long ?? "", (kind === "P") !== (not === "^"));
    if (source === undefined) throw new SyntaxError(`\\${text} is no set of characters`);
    return source;
  }

  #escapedCharacter(): number {
    const number = this.#match(/x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})/y);
    if (number !== undefined) {
      const [, braced, short, octal] = number;
      const code = octal === undefined ? Number.parseInt(braced ?? short ?? "", 16) : Number.parseInt(octal, 8);
      if (code > 0x10_ffff) throw new SyntaxError(`\\${number[0]} is no character`);
      return code;
    }
    const control = escapes.get(this.#peek());
    if (control !== undefined) {
      this.#position += 1;
      return control;
    }
    if (this.#peek() === undefined) throw new SyntaxError("a backslash at the end");
    const code = this.#codePoint();
    if (code < 0x80 && !/[A-Za-z0-9]/.test(String.fromCodePoint(code))) return code;
    throw new SyntaxError(`\\${String.fromCodePoint(code)} is no escape`);
  }

  /** Behind the opening bracket. */
  #class(): Node {
    const negated = this.#take("^");
    let source = "";
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      if (this.#peek() === undefined) throw new SyntaxError("a [ is not closed");
      source += this.#classPart();
    }
    this.#position += 1;
    return this.#set(source, negated);
  }

  #classPart(): string {
    const named = this.#match(/\[:(\^?)(\w+):\]/y);
    if (named !== undefined) {
      const set = namedSets.get(named[2] ?? "");
      if (set === undefined || (named[2] ?? "").length === 1)
        throw new SyntaxError(`${named[0]} is no set of characters`);
      return sourceOf(named[1] === "^" ? complement(set) : set);
    }
    if (this.#peek() === "\\") {
      this.#position += 1;
      const set = this.#escapedSet();
      if (set !== undefined) return set;
      this.#position -= 1;
    }
    const from = this.#classCharacter();
    if (!this.#test(/-[^\]]/y)) return sourceOf([[from, from]]);
    this.#position += 1;
    const to = this.#classCharacter();
    if (to < from) throw new SyntaxError("a range of characters is the wrong way round");
    return sourceOf([[from, to]]);
  }

  #classCharacter(): number {
    return this.#take("\\") ? this.#escapedCharacter() : this.#codePoint();
  }

  #literal(codePoint: number): Node {
    if (this.#flags.i) return this.#set(sourceOf([[codePoint, codePoint]]), false);
    return { type: "character", test: (other) => other === codePoint };
  }

  #set(source: string, negated: boolean): Node {
    return { type: "character", test: characterTest(source, { negated, ignoreCase: this.#flags.i }) };
  }

  #peek(): string | undefined {
    return this.#pattern[this.#position];
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#position += 1;
    return true;
  }

  #codePoint(): number {
    const code = this.#pattern.codePointAt(this.#position) ?? 0;
    this.#position += code > 0xffff ? 2 : 1;
    return code;
  }

  #test(sticky: RegExp): boolean {
    sticky.lastIndex = this.#position;
    return sticky.test(this.#pattern);
  }

  #match(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#position;
    const match = sticky.exec(this.#pattern) ?? undefined;
    this.#position += match?.[0].length ?? 0;
    return match;
  }
}
