import type { CharacterTest } from "./character-set.ts";
import { ExpressionParser } from "./expression-parser.ts";
import type { Node, Place } from "./expression-parser.ts";

/** Characters of a pattern; it bounds how deep brackets can be nested. */
const longest = 1000;
/** Steps that a pattern may have when its repetitions are written out. */
const mostSteps = 5000;

/** Where a match can go on from one step to the next. */
type Step =
  | { readonly type: "character"; readonly test: CharacterTest; readonly next: number }
  | { readonly type: "place"; readonly place: Place; readonly next: number }
  | { readonly type: "either"; readonly nexts: readonly number[] }
  | { readonly type: "found" };

/**
 * Compiles a regular expression of RE2's syntax. The test tells whether it matches any part of a text, in time linear in
 * the text and in the pattern, whatever both are: all ways to match are followed at once, so there is nothing to go back
 * to. JavaScript's own engine can be kept busy for years by a short pattern.
 *
 * @throws SyntaxError the pattern cannot be read, or is too long or too large
 */
export function compileExpression(pattern: string): (text: string) => boolean {
  if (pattern.length > longest) throw new SyntaxError(`${pattern.length} characters are over the limit of ${longest}`);
  const program = new Program();
  const start = program.add(new ExpressionParser(pattern).parse(), program.push({ type: "found" }));
  return (text) => new Matcher(program.steps).matches(start, text);
}

class Program {
  readonly steps: Step[] = [];

  push(step: Step): number {
    if (this.steps.length >= mostSteps) throw new SyntaxError(`its repetitions need more than ${mostSteps} steps`);
    return this.steps.push(step) - 1;
  }

  /** Adds the steps of `node`, from which it goes on at `next`, and gives the first. */
  add(node: Node, next: number): number {
    if (node.type === "character") return this.push({ type: "character", test: node.test, next });
    if (node.type === "place") return this.push({ type: "place", place: node.place, next });
    if (node.type === "sequence") return node.parts.reduceRight((after, part) => this.add(part, after), next);
    if (node.type === "choice") {
      return this.push({ type: "either", nexts: node.parts.map((part) => this.add(part, next)) });
    }
    return this.#addRepeat(node.part, node.min, node.max, next);
  }

  #addRepeat(part: Node, min: number, max: number, next: number): number {
    let first = next;
    if (max === Infinity) {
      const nexts: number[] = [next];
      first = this.push({ type: "either", nexts });
      nexts.push(this.add(part, first));
    } else {
      for (let count = min; count < max; count += 1) {
        first = this.push({ type: "either", nexts: [this.add(part, first), next] });
      }
    }
    for (let count = 0; count < min; count += 1) first = this.add(part, first);
    return first;
  }
}

/** One match of one text. */
class Matcher {
  readonly #steps: readonly Step[];
  /** At which position, counted from 1, a step was last reached. */
  readonly #reached: Uint32Array;

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
    this.#reached = new Uint32Array(steps.length);
  }

  matches(start: number, text: string): boolean {
    let before: number | undefined;
    let waiting: CharacterStep[] = [];
    for (let position = 0, round = 1; ; round += 1) {
      const after = text.codePointAt(position);
      const open = [start];
      for (const { test, next } of waiting) if (before !== undefined && test(before)) open.push(next);
      waiting = [];
      if (this.#spread(open, { before, after, round }, waiting)) return true;
      if (after === undefined) return false;
      before = after;
      position += after > 0xffff ? 2 : 1;
    }
  }

  /** Follows everything that takes no character. True when the pattern has matched. */
  #spread(open: number[], between: Between, waiting: CharacterStep[]): boolean {
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (this.#reached[index] === between.round) continue;
      this.#reached[index] = between.round;
      const step = this.#steps[index];
      if (step?.type === "found") return true;
      if (step?.type === "either") open.push(...step.nexts);
      else if (step?.type === "character") waiting.push(step);
      else if (step !== undefined && isAt(step.place, between)) open.push(step.next);
    }
    return false;
  }
}

type CharacterStep = Extract<Step, { type: "character" }>;

/** The characters on both sides of a position; none at the ends. */
interface Between {
  readonly before: number | undefined;
  readonly after: number | undefined;
  readonly round: number;
}

const newLine = 10;

function isAt(place: Place, { before, after }: Between): boolean {
  if (place === "text start") return before === undefined;
  if (place === "text end") return after === undefined;
  if (place === "line start") return before === undefined || before === newLine;
  if (place === "line end") return after === undefined || after === newLine;
  return (isWord(before) !== isWord(after)) === (place === "word edge");
}

function isWord(codePoint: number | undefined): boolean {
  return codePoint !== undefined && codePoint < 0x80 && /\w/.test(String.fromCodePoint(codePoint));
}
