import type { CriticalStep, TransferPhase, TransferSummary } from "@varve/images";
import { formatBytes, formatCount, formatDuration, shortDigest } from "../format.ts";

const phases: readonly TransferPhase[] = ["resolve", "manifests", "fetch", "unpack", "commit"];
const longestPath = 6;

/** What a transfer came to, in three lines: bytes, time by phase, and what all of it waited for. */
export function summaryLines(summary: TransferSummary): string[] {
  const times = phases.map((phase) => `${phase} ${formatDuration(summary.phases[phase])}`);
  return [
    bytesLine(summary),
    `in ${formatDuration(summary.durationMs)}: ${times.join(", ")}`,
    `critical path: ${pathText(summary.criticalPath)}`,
  ];
}

function bytesLine({ fetched, reused, phases: { fetch, manifests }, resumedBytes, retries }: TransferSummary): string {
  const ms = Math.max(fetch, manifests);
  const rate = fetched.bytes > 0 && ms > 0 ? ` (${formatBytes((fetched.bytes / ms) * 1000)}/s)` : "";
  const texts = [`fetched ${formatBytes(fetched.bytes)} in ${formatCount(fetched.blobs, "blob")}${rate}`];
  const found = [formatCount(reused.blobs, "blob"), formatCount(reused.layers, "layer")].join(" and ");
  texts.push(reused.blobs + reused.layers === 0 ? "reused nothing" : `reused ${formatBytes(reused.bytes)}, ${found}`);
  if (resumedBytes > 0) texts.push(`resumed ${formatBytes(resumedBytes)}`);
  if (retries > 0) texts.push(formatCount(retries, "retry", "retries"));
  return texts.join("; ");
}

/** The longest steps, in order, each layer named once; the others together. */
function pathText(path: readonly CriticalStep[]): string {
  const longest = new Set(path.toSorted((a, b) => b.ms - a.ms).slice(0, longestPath));
  const texts: string[] = [];
  let named: string | undefined;
  for (const { digest, ms, phase } of path.filter((step) => longest.has(step))) {
    const name = digest === undefined || digest === named ? "" : ` ${shortDigest(digest)}`;
    texts.push(`${phase}${name} ${formatDuration(ms)}`);
    named = digest;
  }
  const rest = path.filter((step) => !longest.has(step));
  if (rest.length > 0) texts.push(`others ${formatDuration(rest.reduce((sum, { ms }) => sum + ms, 0))}`);
  return texts.length === 0 ? "nothing" : texts.join(", ");
}
