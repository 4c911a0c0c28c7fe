import type { ViewStream } from "../src/progress/view.ts";

/** A small terminal: it wraps and scrolls, and knows the few control sequences that a view may use. */
export class Terminal implements ViewStream {
  readonly isTTY = true;
  columns: number;
  rows: number;
  writableNeedDrain = false;
  /** How often something was written. */
  writes = 0;
  #lines: string[] = [""];
  /** The first line on the screen; those above have scrolled away. */
  #top = 0;
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  /** Everything that can be seen or scrolled to, without blank lines at the end. */
  get text(): string[] {
    const lines = this.#lines.map((line) => line.trimEnd());
    return lines.slice(0, lines.findLastIndex((line) => line !== "") + 1);
  }

  /** Where the cursor is, from the top left of the screen. */
  get cursor(): readonly [column: number, row: number] {
    return [this.#column, this.#row - this.#top];
  }

  /** Gets narrower, and wraps what is there, as most terminals do. */
  narrow(columns: number): void {
    const wrapped = this.#lines.map((line) => {
      const parts = line.trimEnd().match(new RegExp(`.{1,${columns}}`, "gu")) ?? [""];
      return [...parts];
    });
    this.#row = wrapped.slice(0, this.#row).flat().length;
    this.#lines = wrapped.flat();
    this.columns = columns;
    this.#scroll();
  }

  write(text: string): void {
    this.writes += 1;
    const [plain = "", ...rest] = text.split("\u001B");
    for (const character of plain) this.#show(character);
    for (const part of rest) {
      const [sequence = "", count = "", command = ""] = /^\[(\d*)([AJK])/u.exec(part) ?? [];
      if (sequence === "") throw new Error(`not for a view: ESC ${JSON.stringify(part)}`);
      this.#obey(command, Number(count));
      for (const character of part.slice(sequence.length)) this.#show(character);
    }
  }

  #obey(command: string, count: number): void {
    if (command === "A") this.#row = Math.max(this.#top, this.#row - count);
    else this.#erase();
    if (command === "J") this.#lines.length = this.#row + 1;
  }

  #show(character: string): void {
    if (character === "\n") this.#newLine();
    else if (character === "\r") this.#column = 0;
    else if (/[\p{Cc}\p{Cf}]/u.test(character)) throw new Error(`not for a view: ${JSON.stringify(character)}`);
    else this.#put(character);
  }

  #put(character: string): void {
    if (this.#column >= this.columns) this.#newLine();
    const line = this.#lines[this.#row] ?? "";
    this.#lines[this.#row] =
      line.slice(0, this.#column).padEnd(this.#column) + character + line.slice(this.#column + 1);
    this.#column += 1;
  }

  #newLine(): void {
    this.#row += 1;
    this.#column = 0;
    this.#lines[this.#row] ??= "";
    this.#scroll();
  }

  #erase(): void {
    this.#lines[this.#row] = (this.#lines[this.#row] ?? "").slice(0, this.#column);
  }

  #scroll(): void {
    this.#top = Math.max(this.#top, this.#row - this.rows + 1);
  }
}
