import { formatDuration } from "../format.ts";
import type { PullState, RowState } from "./pull-state.ts";
import { isWorking, rowLine } from "./row-text.ts";
import type { Totals } from "./totals.ts";

const columnsForEstimate = 110;

/** What a terminal has room for. */
export interface Room {
  readonly columns: number;
  readonly rows: number;
}

/**
 * The lines of one picture, none wider than `columns`: a head, a line for each row, and the sums. If there are more rows than
 * room, those that something is done for are shown first, and a line says how many are not shown.
 */
export function frameOf(state: PullState, totals: Totals, room: Room, now: number): string[] {
  const head = `${formatDuration(now - state.startedAt)}  ${state.name}`;
  const sums = totals.text(now, room.columns >= columnsForEstimate);
  // The cursor stands below the picture.
  const places = room.rows - 3;
  const shown = state.rows.length <= places ? state.rows : chosen(state.rows, places - 1);
  const lines = shown.map((row) => rowLine(row, state.rowsOf, room.columns, now));
  const rest = shown.length < state.rows.length ? [restText(state.rows, shown)] : [];
  const all = places < 1 ? [sums] : [head, ...lines, ...rest, sums];
  return all.map((line) => plain(line).slice(0, room.columns));
}

/** In their order: those that are worked on, then those that wait, the ones that got furthest first, then those done last. */
function chosen(rows: readonly RowState[], places: number): RowState[] {
  const open = rows.filter((row) => row.end === undefined);
  const working = open.filter(isWorking);
  const ready = open.filter((row) => !isWorking(row) && row.isStored);
  const waiting = open.filter((row) => !isWorking(row) && !row.isStored);
  const done = rows.filter((row) => row.end !== undefined).toReversed();
  const shown = new Set([...working, ...ready, ...waiting, ...done].slice(0, Math.max(0, places)));
  return rows.filter((row) => shown.has(row));
}

function restText(rows: readonly RowState[], shown: readonly RowState[]): string {
  const hidden = rows.length - shown.length;
  const done = rows.filter((row) => row.end !== undefined).length;
  const hiddenDone = done - shown.filter((row) => row.end !== undefined).length;
  const more = hidden - hiddenDone;
  return `… ${more > 0 ? `${more} more, ` : ""}${done} done`;
}

/** No character steers the terminal, and each is one column wide: a line that wraps would put the next picture in the wrong place. */
function plain(line: string): string {
  return line.replaceAll(/[^ -~…]/gu, "?");
}
