import type { OnProgress } from "@varve/images";

/** Shows the events of one pull or fetch on standard error. */
export interface ProgressView {
  readonly onProgress: OnProgress;
  /** Draws the last state; nothing may be shown after it. */
  finish(): void;
}

/** What is shown one by one: the layers that are fetched and unpacked, or every blob that is only fetched. */
export type Rows = "layers" | "blobs";

/** What views need of standard error. */
export interface ViewStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}
