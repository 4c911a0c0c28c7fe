import { formatBytes, formatDuration, shortDigest } from "../format.ts";
import { printable } from "../printable.ts";
import { PullState } from "./pull-state.ts";
import { totals } from "./totals.ts";
import type { ProgressView, ViewStream } from "./view.ts";

const intervalMs = 5000;

/** Lines for a log: one a finished layer, and one with the totals every five seconds. */
export function createPlainView(stream: ViewStream): ProgressView {
  const state = new PullState();
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
      else if (event.type === "committed" || (event.type === "exists" && event.what === "snapshot")) {
        const done = event.type === "committed" ? "unpacked" : "exists";
        const { digest, size } = event.descriptor;
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
