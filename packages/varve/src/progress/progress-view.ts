import { divertNotes } from "../output.ts";
import { createJsonView } from "./json-view.ts";
import { createPlainView } from "./plain-view.ts";
import type { ProgressMode } from "./progress-modes.ts";
import { shownMode } from "./shown-mode.ts";
import { createTerminalView } from "./terminal-view.ts";
import type { ProgressView, Rows, ViewStream } from "./view.ts";

interface ProgressViewOptions {
  /** Default: `layers`. */
  readonly rows?: Rows | undefined;
  /** How often a log gets a line with the sums. Default: 5 s. */
  readonly intervalMs?: number | undefined;
  /** Default: standard error. */
  readonly stream?: ViewStream | undefined;
}

/** The view that `mode` names; `auto` looks whether there is a terminal. */
export function createProgressView(mode: ProgressMode, options: ProgressViewOptions = {}): ProgressView {
  const { rows = "layers", stream = process.stderr } = options;
  const shown = shownMode(mode, stream);
  if (shown === "tty") return withNotes(stream, rows);
  if (shown === "plain") return createPlainView(stream, rows, options.intervalMs ?? 5000);
  if (shown === "json") return createJsonView(stream);
  return { onProgress: () => undefined, finish: () => undefined, summarize: () => undefined };
}

/** A view of the terminal that notes go to as well. */
function withNotes(stream: ViewStream, rows: Rows): ProgressView {
  const view = createTerminalView(stream, rows);
  const restore = divertNotes((line) => view.note(line));
  return {
    ...view,
    finish: () => {
      view.finish();
      restore();
    },
  };
}
