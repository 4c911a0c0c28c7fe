import type { ProgressEvent } from "@varve/images";
import { formatBytes, formatDuration, shortDigest } from "../format.ts";
import { printable } from "../printable.ts";
import { PullState } from "./pull-state.ts";
import type { RowState } from "./pull-state.ts";
import { endText } from "./row-text.ts";
import { summaryLines } from "./summary-text.ts";
import { Totals } from "./totals.ts";
import type { ProgressView, Rows, ViewStream } from "./view.ts";

/** Lines for a log: one a finished layer or blob, and one with the sums at an interval, whether anything comes or not. */
export function createPlainView(stream: ViewStream, rows: Rows, intervalMs: number): ProgressView {
  const state = new PullState(rows);
  const totals = new Totals(state, intervalMs);
  const line = (text: string): void => void stream.write(`${printable(text)}\n`);
  const timer = setInterval(() => {
    const now = performance.now();
    line(`${formatDuration(now - state.startedAt)}: ${totals.text(now, true)}${counts(state)}`);
  }, intervalMs);
  timer.unref();
  return {
    onProgress(event) {
      const ended = state.apply(event);
      const text = eventText(event);
      if (text !== undefined) line(text);
      for (const row of ended) line(rowText(row));
    },
    finish: () => clearInterval(timer),
    summarize: (summary) => summaryLines(summary).forEach(line),
  };
}

function counts({ rows, rowsOf }: PullState): string {
  if (rows.length === 0) return "";
  const done = rows.filter((row) => row.end !== undefined).length;
  return `, ${done} of ${rows.length} ${rowsOf === "layers" ? "layers" : "blobs"} done`;
}

function rowText(row: RowState): string {
  const [end = "", ...times] = endText(row);
  return `${shortDigest(row.digest)}: ${[end, formatBytes(row.size), ...times].join(", ")}`;
}

function eventText(event: ProgressEvent): string | undefined {
  if (event.type === "resolved") return `${event.name}: ${event.target.digest}`;
  if (event.type === "waiting") {
    // Everybody waits for a place, and for the layer below.
    const isWorthALine = event.for === undefined || event.for === "other";
    return isWorthALine ? `${shortDigest(event.descriptor.digest)}: waiting: ${event.reason}` : undefined;
  }
  if (event.type === "resumed") {
    return `${shortDigest(event.descriptor.digest)}: resumed at ${formatBytes(event.bytes)}`;
  }
  return event.type === "retry" ? `${shortDigest(event.descriptor.digest)}: trying again` : undefined;
}
