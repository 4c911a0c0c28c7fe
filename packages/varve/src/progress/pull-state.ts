import type { ProgressEvent, WaitCause } from "@varve/images";
import { chainIds } from "@varve/digest";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import { Rate } from "./rate.ts";
import type { Rows } from "./view.ts";

/** How a row ended. */
export type RowEnd = "unpacked" | "exists" | "fetched" | "sent" | "mounted";

/** One layer, or one blob, as a progress view shows it. */
export interface RowState {
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  /** Of layers that are unpacked. */
  readonly below: RowState | undefined;
  /** Bytes that came, or went, or were there. */
  moved: number;
  /** Bytes of those that were there before. */
  kept: number;
  applied: number;
  /** The blob is stored. */
  isStored: boolean;
  isRetrying: boolean;
  /** What its blob and its layer wait for, if they were told. */
  blobWait: WaitCause | undefined;
  layerWait: WaitCause | undefined;
  movingSince: number | undefined;
  movedAt: number | undefined;
  applyingSince: number | undefined;
  /** When all its bytes were in its snapshot. */
  appliedAt: number | undefined;
  endedAt: number | undefined;
  end: RowEnd | undefined;
  readonly moveRate: Rate;
  readonly applyRate: Rate;
}

type LayerEvent = ProgressEvent & { readonly descriptor: Descriptor; readonly chainId?: Digest | undefined };

/** What the events of one pull, fetch or push add up to. */
export class PullState {
  readonly startedAt: number = performance.now();
  readonly rowsOf: Rows;
  name = "";
  readonly rows: RowState[] = [];
  /** Bytes that went through the network; of layers only, where those are shown. */
  moved = 0;
  /** Bytes that were unpacked, again included. */
  applied = 0;
  readonly #byDigest: Map<Digest, RowState[]> = new Map();
  readonly #byChain: Map<Digest, RowState> = new Map();

  constructor(rowsOf: Rows) {
    this.rowsOf = rowsOf;
  }

  /** Takes an event, and gives the rows that it ended. */
  apply(event: ProgressEvent): readonly RowState[] {
    if (event.type === "resolved") this.name = event.name;
    else if (event.type === "layers") this.#list(event);
    else return this.#change(event);
    return [];
  }

  #list({ layers, diffIds }: ProgressEvent & { type: "layers" }): void {
    const chain = chainIds(diffIds);
    let below: RowState | undefined;
    for (const [index, layer] of layers.entries()) below = this.#expect(layer, chain[index], below);
  }

  #expect({ digest, size }: Descriptor, chainId?: Digest, below?: RowState): RowState {
    const row: RowState = {
      digest,
      size,
      below,
      moved: 0,
      kept: 0,
      applied: 0,
      isStored: false,
      isRetrying: false,
      blobWait: undefined,
      layerWait: undefined,
      movingSince: undefined,
      movedAt: undefined,
      applyingSince: undefined,
      appliedAt: undefined,
      endedAt: undefined,
      end: undefined,
      moveRate: new Rate(),
      applyRate: new Rate(),
    };
    this.rows.push(row);
    const same = this.#byDigest.get(digest);
    if (same === undefined) this.#byDigest.set(digest, [row]);
    else same.push(row);
    if (chainId !== undefined) this.#byChain.set(chainId, row);
    return row;
  }

  #change(event: LayerEvent): readonly RowState[] {
    const { digest } = event.descriptor;
    // Of a fetch or a push nobody knows beforehand what is in it.
    if (this.rowsOf !== "layers" && !this.#byDigest.has(digest)) this.#expect(event.descriptor);
    const unfinished = (this.#byDigest.get(digest) ?? []).filter((row) => row.end === undefined);
    if (!isAboutLayer(event)) return this.#changeBlob(event, unfinished);
    // Of two layers with one digest, the one that is not finished yet is meant, if no chain ID tells.
    const row = (event.chainId === undefined ? undefined : this.#byChain.get(event.chainId)) ?? unfinished[0];
    if (row === undefined || row.end !== undefined) return [];
    this.#changeLayer(event, row);
    return row.end === undefined ? [] : [row];
  }

  #changeLayer(event: LayerEvent, row: RowState): void {
    row.layerWait = causeOf(event);
    if (event.type === "applying") {
      row.applyingSince ??= startRate(row.applyRate, 0);
      this.applied += Math.max(0, event.bytes - row.applied);
      row.applied = event.bytes;
    } else if (event.type === "applied") row.appliedAt = performance.now();
    else if (event.type === "retry") {
      row.applied = 0;
      row.appliedAt = undefined;
    } else if (event.type === "committed" || event.type === "exists") {
      row.end = event.type === "committed" ? "unpacked" : "exists";
      row.endedAt = performance.now();
      row.moved = row.size;
      row.applied = row.size;
    }
  }

  #changeBlob(event: LayerEvent, rows: readonly RowState[]): readonly RowState[] {
    const [first] = rows;
    if (first === undefined) return [];
    const before = event.type === "retry" ? 0 : first.moved;
    const end = this.#endOf(event);
    for (const row of rows) {
      row.blobWait = causeOf(event);
      row.isRetrying = event.type === "retry";
      if ("bytes" in event) {
        row.movingSince ??= startRate(row.moveRate, event.bytes);
        row.moved = event.bytes;
      }
      if (event.type === "resumed") row.kept = event.bytes;
      else if (event.type === "retry") row.moved = row.kept = 0;
      else if (isStored(event)) {
        row.isStored = true;
        row.movedAt = performance.now();
        row.moved = row.size;
      }
      row.end = end;
      if (end !== undefined) row.endedAt = performance.now();
    }
    if (event.type !== "resumed" && event.type !== "exists" && !(event.type === "pushed" && event.how !== "sent")) {
      this.moved += Math.max(0, first.moved - before);
    }
    return end === undefined ? [] : rows;
  }

  /** A blob that is there needs no fetching, but its layer may have to be unpacked. */
  #endOf(event: LayerEvent): RowEnd | undefined {
    if (this.rowsOf === "layers") return undefined;
    if (event.type === "pushed") return event.how;
    return event.type === "fetched" || event.type === "exists" ? event.type : undefined;
  }
}

/** Gives the time. */
function startRate(rate: Rate, count: number): number {
  const now = performance.now();
  rate.at(now, count);
  return now;
}

function isAboutLayer(event: LayerEvent): boolean {
  if (event.chainId !== undefined) return true;
  if (event.type === "exists") return event.what === "snapshot";
  return event.type === "applying" || event.type === "applied" || event.type === "committed";
}

function isStored({ type }: ProgressEvent): boolean {
  return type === "fetched" || type === "exists" || type === "pushed";
}

function causeOf(event: ProgressEvent): WaitCause | undefined {
  return event.type === "waiting" ? (event.for ?? "other") : undefined;
}
