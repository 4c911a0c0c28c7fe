import { createJsonView } from "./json-view.ts";
import { createPlainView } from "./plain-view.ts";
import type { ProgressMode } from "./progress-modes.ts";
import { createTerminalView } from "./terminal-view.ts";
import type { ProgressView, ViewStream } from "./view.ts";

/** The view that `mode` names; `auto` looks whether there is a terminal. */
export function createProgressView(mode: ProgressMode, stream: ViewStream = process.stderr): ProgressView {
  const chosen = mode === "auto" ? (stream.isTTY === true ? "tty" : "plain") : mode;
  if (chosen === "tty") return createTerminalView(stream);
  if (chosen === "plain") return createPlainView(stream);
  if (chosen === "json") return createJsonView(stream);
  return { onProgress: () => undefined, finish: () => undefined };
}
