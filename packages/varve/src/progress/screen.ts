import type { ViewStream } from "./view.ts";

const eraseLine = "\u001B[K";
const eraseBelow = "\u001B[J";

/**
 * Draws pictures over one another, each with a single write, so that nothing flickers. The cursor is left visible and below
 * the picture: whatever ends the process, the terminal is as it was.
 */
export class Screen {
  readonly #stream: ViewStream;
  /** Widths of the lines that are there. */
  #drawn: readonly number[] = [];
  #last = "";
  #columns = 0;
  #above = "";

  constructor(stream: ViewStream) {
    this.#stream = stream;
  }

  /** The room for a picture. A line that fills the last column would leave some terminals in the next one. */
  get room(): { readonly columns: number; readonly rows: number } {
    const { columns, rows } = this.#stream;
    return { columns: Math.max(1, (columns ?? 80) - 1), rows: Math.max(1, rows ?? 24) };
  }

  /** A line that stays, above the picture; it is there with the next one. */
  note(text: string): void {
    this.#above += `${text}${eraseLine}\n`;
  }

  draw(lines: readonly string[]): void {
    const picture = lines.map((line) => `${line}${eraseLine}\n`).join("");
    const columns = this.#stream.columns ?? 80;
    const up = this.#height(columns);
    const isResized = columns !== this.#columns;
    if (picture === this.#last && this.#above === "" && !isResized) return;
    const back = `${up === 0 ? "" : `\u001B[${up}A`}\r`;
    // Terminals remember which lines they have wrapped, even if something else is written over them.
    const before = isResized && up > 0 ? eraseBelow : "";
    // What is left of a larger picture.
    const after = up > lines.length ? eraseBelow : "";
    this.#stream.write(`${back}${before}${this.#above}${picture}${after}`);
    this.#above = "";
    this.#last = picture;
    this.#columns = columns;
    this.#drawn = lines.map((line) => line.length);
  }

  /** How many rows the last picture takes by now: terminals wrap lines when they get narrower. */
  #height(columns: number): number {
    const height = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return Math.min(height, Math.max(0, (this.#stream.rows ?? 24) - 1));
  }
}
