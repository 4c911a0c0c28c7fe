import { createJsonView } from "./json-view.ts";
import { createPlainView } from "./plain-view.ts";
import type { ProgressMode } from "./progress-modes.ts";
import { shownMode } from "./shown-mode.ts";
import { createTerminalView } from "./terminal-view.ts";
import type { ProgressView, Rows, ViewStream } from "./view.ts";

interface ProgressViewOptions {
  /** Default: `layers`. */
  readonly rows?: Rows | undefined;
  /** Default: standard error. */
  readonly stream?: ViewStream | undefined;
}

/** The view that `mode` names; `auto` looks whether there is a terminal. */
export function createProgressView(mode: ProgressMode, options: ProgressViewOptions = {}): ProgressView {
  const { rows = "layers", stream = process.stderr } = options;
  const shown = shownMode(mode, stream);
  if (shown === "tty") return createTerminalView(stream, rows);
  if (shown === "plain") return createPlainView(stream, rows);
  if (shown === "json") return createJsonView(stream);
  return { onProgress: () => undefined, finish: () => undefined };
}
