import type { ProgressMode } from "./progress-modes.ts";
import type { ViewStream } from "./view.ts";

/** What `mode` comes to; `auto` looks whether there is a terminal. */
export function shownMode(mode: ProgressMode, stream: ViewStream): Exclude<ProgressMode, "auto"> {
  if (mode !== "auto") return mode;
  return stream.isTTY === true ? "tty" : "plain";
}
