import { printable } from "../printable.ts";
import { frameOf } from "./frame.ts";
import { PullState } from "./pull-state.ts";
import { Screen } from "./screen.ts";
import { summaryLines } from "./summary-text.ts";
import { Totals } from "./totals.ts";
import type { ProgressView, Rows, ViewStream } from "./view.ts";

const frameMs = 100;

/** Draws over what others write, which therefore goes through it. */
export interface TerminalView extends ProgressView {
  /** Shows a line above the picture, where it stays. */
  note(line: string): void;
}

/** One line a layer, with a bar for what is fetched and one for what is unpacked, or one line a blob; drawn again in place. */
export function createTerminalView(stream: ViewStream, rows: Rows): TerminalView {
  const state = new PullState(rows);
  const totals = new Totals(state);
  const screen = new Screen(stream);
  const draw = (): void => screen.draw(frameOf(state, totals, screen.room, performance.now()));
  let isFinished = false;
  // Also while nothing comes: rates fall, and time goes by.
  const timer = setInterval(() => {
    // Who cannot see it need not get it.
    if (stream.writableNeedDrain !== true && screen.room.rows > 1) draw();
  }, frameMs);
  timer.unref();
  return {
    onProgress: (event) => void state.apply(event),
    note: (text) => screen.note(text),
    finish: () => {
      if (isFinished) return;
      isFinished = true;
      clearInterval(timer);
      // Nothing is known of an image that was not found.
      if (state.name === "" && state.rows.length === 0) screen.draw([]);
      else draw();
    },
    summarize: (summary) =>
      void stream.write(
        summaryLines(summary)
          .map((line) => `${printable(line)}\n`)
          .join(""),
      ),
  };
}
