import type { ProgressEvent } from "@varve/images";
import { formatBytes, formatDuration, shortDigest } from "../format.ts";
import { printable } from "../printable.ts";
import { PullState } from "./pull-state.ts";
import { totals } from "./totals.ts";
import type { ProgressView, Rows, ViewStream } from "./view.ts";

const intervalMs = 5000;

/** Lines for a log: one a finished layer or blob, and one with the totals every five seconds. */
export function createPlainView(stream: ViewStream, rows: Rows): ProgressView {
  const state = new PullState(rows);
  let nextTotal = intervalMs;
  const line = (text: string): void => void stream.write(`${printable(text)}\n`);
  const elapsed = (): number => performance.now() - state.startedAt;
  return {
    onProgress(event) {
      state.apply(event);
      if (event.type === "resolved") line(`${event.name}: ${event.target.digest}`);
      else if (event.type === "waiting") line(`${shortDigest(event.descriptor.digest)}: waiting: ${event.reason}`);
      else if (event.type === "resumed") {
        line(`${shortDigest(event.descriptor.digest)}: resumed at ${formatBytes(event.bytes)}`);
      } else if (event.type === "retry") line(`${shortDigest(event.descriptor.digest)}: trying again`);
      else if (isLast(event, rows)) {
        const { digest, size } = event.descriptor;
        const done = event.type === "committed" ? "unpacked" : event.type;
        line(`${shortDigest(digest)}: ${done}, ${formatBytes(size)}, ${formatDuration(elapsed())}`);
      }
      if (elapsed() >= nextTotal) {
        nextTotal = elapsed() + intervalMs;
        line(totals(state));
      }
    },
    finish: () => undefined,
  };
}

/** Whether nothing more comes of a layer, or of a blob. */
function isLast(
  event: ProgressEvent,
  rows: Rows,
): event is ProgressEvent & { readonly type: "committed" | "exists" | "fetched" } {
  if (rows === "blobs") return event.type === "fetched" || event.type === "exists";
  return event.type === "committed" || (event.type === "exists" && event.what === "snapshot");
}
