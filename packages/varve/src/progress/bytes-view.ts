import { formatBytes, formatDuration } from "../format.ts";
import { printableJson } from "../printable.ts";
import type { ProgressMode } from "./progress-modes.ts";
import { shownMode } from "./shown-mode.ts";
import type { ViewStream } from "./view.ts";

const intervalMs = { tty: 100, plain: 5000, json: 500 } as const;

/** Shows how far a long look at the store has come, on standard error. */
export interface BytesView {
  readonly onBytes: (progress: { readonly bytes: number; readonly total: number }) => void;
  /** Takes away what was drawn on a terminal. */
  finish(): void;
}

/** `what` says what becomes of the bytes: `checked`. */
export function createBytesView(what: string, mode: ProgressMode, stream: ViewStream = process.stderr): BytesView {
  const shown = shownMode(mode, stream);
  if (shown === "none") return { onBytes: () => undefined, finish: () => undefined };
  const startedAt = performance.now();
  let next = intervalMs[shown];
  let isDrawn = false;
  return {
    onBytes({ bytes, total }) {
      const elapsed = performance.now() - startedAt;
      if (elapsed < next) return;
      next = elapsed + intervalMs[shown];
      const text = `${formatBytes(bytes)} / ${formatBytes(total)} ${what}  ${formatDuration(elapsed)}`;
      if (shown === "json") stream.write(`${printableJson({ version: 1, type: what, bytes, total })}\n`);
      else if (shown === "plain") stream.write(`${text}\n`);
      else {
        stream.write(`\r\u001B[K${text}`);
        isDrawn = true;
      }
    },
    finish: () => {
      if (isDrawn) stream.write("\r\u001B[K");
    },
  };
}
