import type { ProgressEvent, TransferSummary } from "@varve/images";
import { chainIds, digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { vi } from "vitest";
import type { ProgressView } from "../src/progress/view.ts";

export const layer: (name: string, size: number) => Descriptor = (name, size) => ({
  mediaType: mediaTypes.ociLayerGzip,
  digest: digestOf(Buffer.from(name)),
  size,
});
export const id: (described: Descriptor) => string = ({ digest }) => digest.slice(7, 19);
export const one: Descriptor = layer("one", 1000);
export const two: Descriptor = layer("two", 20_000_000);
const chain = chainIds([one.digest, two.digest]);
const lowId: Digest = chain[0] ?? one.digest;
export const highId: Digest = chain[1] ?? one.digest;

export const resolved: ProgressEvent = { type: "resolved", name: "localhost/app:v1", target: one };
export const layers: ProgressEvent = { type: "layers", layers: [one, two], diffIds: [one.digest, two.digest] };
export const lowExists: ProgressEvent = { type: "exists", descriptor: one, what: "snapshot", chainId: lowId };
export const fetching: (bytes: number, descriptor?: Descriptor) => ProgressEvent = (bytes, descriptor = two) => ({
  type: "fetching",
  descriptor,
  bytes,
});
export const applying: (bytes: number) => ProgressEvent = (bytes) => ({
  type: "applying",
  descriptor: two,
  chainId: highId,
  bytes,
});
export const fetched: ProgressEvent = { type: "fetched", descriptor: two };
export const applied: ProgressEvent = { type: "applied", descriptor: two, chainId: highId };
const committed: ProgressEvent = { type: "committed", descriptor: two, chainId: highId };
export const retry: ProgressEvent = { type: "retry", descriptor: two, attempt: 1, error: new Error("reset") };

/** Shows events at the millisecond that stands before them. */
export function play(view: ProgressView, script: readonly (readonly [number, ProgressEvent])[]): void {
  let time = 0;
  for (const [at, event] of script) {
    vi.advanceTimersByTime(at - time);
    time = at;
    view.onProgress(event);
  }
}

export const whole: readonly (readonly [number, ProgressEvent])[] = [
  [100, resolved],
  [200, layers],
  [210, lowExists],
  [300, fetching(0)],
  [1300, fetching(10_000_000)],
  [1300, applying(5_000_000)],
  [2300, fetched],
  [2800, applied],
  [3000, committed],
];

export const summary: TransferSummary = {
  durationMs: 3100,
  phases: { resolve: 100, manifests: 100, fetch: 2000, unpack: 1500, commit: 200 },
  fetched: { blobs: 3, bytes: 20_001_000 },
  reused: { blobs: 0, bytes: 1000, layers: 1 },
  unpacked: { layers: 1, bytes: 20_000_000 },
  resumedBytes: 0,
  retries: 0,
  criticalPath: [
    { phase: "resolve", ms: 100 },
    { phase: "manifests", ms: 100 },
    { phase: "fetch", digest: two.digest, ms: 2000 },
    { phase: "unpack", digest: two.digest, ms: 700 },
    { phase: "commit", digest: two.digest, ms: 200 },
  ],
};
