import type { CheckReport, Problem } from "@varve/client";
import { CodedError } from "@varve/errors";
import { formatBytes, formatCount, formatDuration } from "../format.ts";
import { withClient } from "../globals.ts";
import { printResult } from "../output.ts";
import type { CommandRun } from "../command-run.ts";
import { createBytesView } from "../progress/bytes-view.ts";

export interface CheckOptions {
  readonly quick?: boolean;
}

/** Names what is damaged on standard output, and ends with 5 if anything is (G-12). */
export async function checkStore({ options, signal }: CommandRun<CheckOptions>): Promise<void> {
  const view = createBytesView("checked", options.progress);
  const report = await withClient(options, async (client) => {
    try {
      return await client.check({ contents: options.quick !== true, signal, onProgress: view.onBytes });
    } finally {
      view.finish();
    }
  });
  await printResult(options.json, report, () => lines(report));
  if (report.problems.length === 0) return;
  const found = formatCount(report.problems.length, "problem");
  throw new CodedError("ERR_DATA_LOSS", `store: ${found} found, varve repair does what can be done`);
}

/** `damaged content sha256:…: why; needed by docker.io/library/debian:12`. */
export function problemLine({ kind, item, message, images }: Problem): string {
  const others = images.filter((name) => item.type !== "image" || name !== item.id);
  const needed = others.length === 0 ? "" : `; needed by ${others.join(", ")}`;
  return `${kind} ${message}${needed}`;
}

function lines({ problems, blobs, bytes, snapshots, images, durationMs }: CheckReport): string[] {
  const counts = [formatCount(blobs, "blob"), formatCount(snapshots, "snapshot"), formatCount(images, "image")];
  const checked = `${counts.join(", ")} checked (${formatBytes(bytes)}) in ${formatDuration(durationMs)}`;
  return [...problems.map(problemLine), checked];
}
