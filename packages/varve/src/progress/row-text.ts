import type { WaitCause } from "@varve/images";
import { formatBytes, formatDuration, shortDigest } from "../format.ts";
import type { RowState } from "./pull-state.ts";
import type { Rows } from "./view.ts";

const idWidth = 12;
const sizeWidth = 8;
const rateWidth = 9;
const widestBar = 40;
const narrowestBar = 6;

/** One line of at most `width` columns, or as many as it takes to tell anything at all. */
export function rowLine(row: RowState, rowsOf: Rows, width: number, now: number): string {
  const start = `${shortDigest(row.digest).padEnd(idWidth)}  ${formatBytes(row.size).padStart(sizeWidth)}  `;
  const rest = width - start.length;
  if (row.end !== undefined) return start + endText(row).join("  ");
  const [moveLabel, cells] = rowsOf === "sent blobs" ? ["send", 1] : ["fetch", rowsOf === "layers" ? 2 : 1];
  const cellWidth = Math.floor((rest - 2 * (cells - 1)) / cells);
  const moving = moveText(row, rowsOf) ?? bar(moveLabel, row.moved, row, row.moveRate.at(now, row.moved), cellWidth);
  if (rowsOf !== "layers") return start + moving;
  const applying = applyText(row) ?? bar("unpack", row.applied, row, row.applyRate.at(now, row.applied), cellWidth);
  return `${start}${moving.padEnd(cellWidth)}  ${applying}`.trimEnd();
}

/** How it ended, and what took how long: `unpacked`, `fetch 3.20 s (19.8 MB/s)`, `unpack 1.24 s`. */
export function endText(row: RowState): string[] {
  const { appliedAt, applyingSince, end, endedAt, kept, movedAt, movingSince, size } = row;
  const texts: string[] = [end ?? ""];
  if (end === "exists" || end === "mounted") return texts;
  if (movingSince !== undefined && movedAt !== undefined) {
    const ms = movedAt - movingSince;
    const rate = ms > 0 ? ` (${formatRate(((size - kept) / ms) * 1000)})` : "";
    texts.push(`${end === "sent" ? "send" : "fetch"} ${formatDuration(ms)}${rate}`);
  }
  const until = appliedAt ?? endedAt;
  if (applyingSince !== undefined && until !== undefined) texts.push(`unpack ${formatDuration(until - applyingSince)}`);
  return texts;
}

/** Whether anything is done for it right now, here or, as far as is known, by somebody else. */
export function isWorking(row: RowState): boolean {
  const { appliedAt, applyingSince, below, blobWait, layerWait, movingSince } = row;
  if (row.end !== undefined) return false;
  if (blobWait === "other" || layerWait === "other") return true;
  if (appliedAt !== undefined) return below === undefined || below.end !== undefined;
  return applyingSince !== undefined || (movingSince !== undefined && !row.isStored);
}

/** `12.3 MB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

const waits: Readonly<Record<WaitCause, string>> = {
  place: "waits for a place",
  other: "waits for another process",
  below: "waits for the layer below",
};

/** Instead of a bar, if there is nothing to measure. */
function moveText(row: RowState, rowsOf: Rows): string | undefined {
  if (row.isStored) return row.movingSince === undefined ? "stored" : undefined;
  if (row.blobWait !== undefined) return waits[row.blobWait];
  if (row.isRetrying) return "trying again";
  if (row.movingSince === undefined) return waits.place;
  return rowsOf !== "sent blobs" && row.moved === row.size ? "verifying" : undefined;
}

function applyText(row: RowState): string | undefined {
  if (row.layerWait !== undefined) return waits[row.layerWait];
  if (row.appliedAt !== undefined) return isBelowOpen(row) ? waits.below : "committing";
  if (row.applyingSince !== undefined) return undefined;
  return row.isStored ? "waits to be unpacked" : "";
}

function isBelowOpen({ below }: RowState): boolean {
  return below !== undefined && below.end === undefined;
}

/** `fetch [=====     ] 12.3 MB/s`, with bytes where there is room, and without the bar where there is not. */
function bar(label: string, value: number, { size }: RowState, rate: number, width: number): string {
  const share = size === 0 ? 1 : Math.min(value, size) / size;
  const shownRate = share < 1 ? formatRate(rate).padStart(rateWidth) : "";
  const room = width - label.length - rateWidth - 4;
  if (room < narrowestBar) return `${label} ${String(Math.floor(share * 100)).padStart(3)}%`;
  const hasBytes = room >= widestBar - 10 + sizeWidth + 1;
  const length = Math.min(widestBar, room - (hasBytes ? sizeWidth + 1 : 0));
  const filled = Math.floor(share * length);
  const bytes = hasBytes ? ` ${formatBytes(value).padStart(sizeWidth)}` : "";
  return `${label} [${"=".repeat(filled)}${" ".repeat(length - filled)}]${bytes} ${shownRate}`.trimEnd();
}
