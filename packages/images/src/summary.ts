import { criticalPath } from "./critical-path.ts";
import type { OnProgress } from "./progress.ts";
import { TransferRecord } from "./transfer-record.ts";
import type { LayerRecord } from "./transfer-record.ts";
import type { TransferPhase, TransferSummary } from "./transfer-summary.ts";

export interface SummaryOptions {
  /** Milliseconds of a clock that never goes back. Default: `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/** Adds up the events of one transfer. */
export interface Summary {
  /** To be given every event when it happens. */
  readonly onProgress: OnProgress;
  /** What it came to from the making of this summary until now. */
  summarize(): TransferSummary;
}

/** Starts the clock of a transfer. It remembers times and sizes of each blob and layer, and no events. */
export function createSummary({ now = () => performance.now() }: SummaryOptions = {}): Summary {
  const startedAt = now();
  const record = new TransferRecord();
  let last = 0;
  // What is added up must not be less than nothing, whatever the clock is.
  const elapsed = (): number => (last = Math.max(last, now() - startedAt));
  return {
    onProgress: (event) => record.add(event, elapsed()),
    summarize: () => summaryOf(record, elapsed()),
  };
}

type Span = readonly [from: number, to: number];

function summaryOf(record: TransferRecord, end: number): TransferSummary {
  const fetched = [...record.blobs.values()].filter((blob) => blob.end === "fetched");
  const stored = [...record.blobs.values()].filter((blob) => blob.end === "exists");
  const found = record.layers.filter((layer) => layer.end === "exists");
  const unpacked = record.layers.filter((layer) => layer.end === "committed");
  const here = new Map([...stored, ...found].map(({ digest, size }) => [digest, size]));
  for (const { digest } of fetched) here.delete(digest);
  const blobs = [...record.blobs.values()];
  return {
    durationMs: Math.round(end),
    phases: phasesOf(record, end),
    fetched: { blobs: fetched.length, bytes: sum(blobs.map(({ moved }) => moved)) },
    reused: { blobs: stored.length, bytes: sum([...here.values()]), layers: found.length },
    unpacked: { layers: unpacked.length, bytes: sum(unpacked.map(({ size }) => size)) },
    resumedBytes: sum(blobs.map(({ resumed }) => resumed)),
    retries: record.retries,
    criticalPath: criticalPath(record, end),
  };
}

function phasesOf(record: TransferRecord, end: number): Record<TransferPhase, number> {
  const { resolvedAt, listedAt } = record;
  const transfers = (ofLayers: boolean): Span[] =>
    [...record.blobs.values()].flatMap(({ isLayer, startedAt, endedAt = end }): Span[] =>
      isLayer === ofLayers && startedAt !== undefined ? [[startedAt, endedAt]] : [],
    );
  const reading: Span[] = resolvedAt === undefined || listedAt === undefined ? [] : [[resolvedAt, listedAt]];
  const spans: Record<TransferPhase, readonly Span[]> = {
    resolve: [[0, resolvedAt ?? (record.blobs.size > 0 ? 0 : end)]],
    manifests: [...reading, ...transfers(false)],
    fetch: transfers(true),
    unpack: record.layers.flatMap(({ startedAt, appliedAt, endedAt }): Span[] =>
      startedAt === undefined ? [] : [[startedAt, appliedAt ?? endedAt ?? end]],
    ),
    commit: record.layers.flatMap((layer) => commitOf(layer, record, end)),
  };
  return {
    resolve: covered(spans.resolve),
    manifests: covered(spans.manifests),
    fetch: covered(spans.fetch),
    unpack: covered(spans.unpack),
    commit: covered(spans.commit),
  };
}

/** From the moment when all that it needs is there. */
function commitOf({ appliedAt, below, digest, endedAt }: LayerRecord, record: TransferRecord, end: number): Span[] {
  if (appliedAt === undefined) return [];
  const belowAt = below === undefined ? 0 : (below.endedAt ?? end);
  const stored = record.blobs.get(digest)?.endedAt ?? 0;
  return [[Math.max(appliedAt, belowAt, stored), endedAt ?? end]];
}

/** The length of what the spans cover together, in whole milliseconds. */
function covered(spans: readonly Span[]): number {
  let total = 0;
  let last = 0;
  for (const [from, to] of spans.toSorted(([a], [b]) => a - b)) {
    total += Math.max(0, to - Math.max(from, last));
    last = Math.max(last, to);
  }
  return Math.round(total);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
