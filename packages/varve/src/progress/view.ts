import type { OnProgress, TransferSummary } from "@varve/images";

/** Shows the events of one pull or fetch on standard error. */
export interface ProgressView {
  readonly onProgress: OnProgress;
  /** Draws the last state; no event may be shown after it. Finishing twice is allowed. */
  finish(): void;
  /** Shows what it came to, after `finish`. */
  summarize(summary: TransferSummary): void;
}

/** What is shown one by one: the layers that are fetched and unpacked, or every blob that is only fetched, or sent. */
export type Rows = "layers" | "blobs" | "sent blobs";

/** What views need of standard error. */
export interface ViewStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  /** Whoever reads it has not kept up. */
  readonly writableNeedDrain?: boolean | undefined;
  write(text: string): unknown;
}
