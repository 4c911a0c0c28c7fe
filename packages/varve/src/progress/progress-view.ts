import type { OnProgress } from "@varve/images";
import { createJsonView } from "./json-view.ts";
import { createPlainView } from "./plain-view.ts";
import type { ProgressMode } from "./progress-modes.ts";
import { createTerminalView } from "./terminal-view.ts";

/** Shows the events of one pull on standard error. */
export interface ProgressView {
  readonly onProgress: OnProgress;
  /** Draws the last state; nothing may be shown after it. */
  finish(): void;
}

/** What views need of standard error. */
export interface ViewStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

export function createProgressView(mode: ProgressMode, stream: ViewStream = process.stderr): ProgressView {
  const chosen = mode === "auto" ? (stream.isTTY === true ? "tty" : "plain") : mode;
  if (chosen === "tty") return createTerminalView(stream);
  if (chosen === "plain") return createPlainView(stream);
  if (chosen === "json") return createJsonView(stream);
  return { onProgress: () => undefined, finish: () => undefined };
}
