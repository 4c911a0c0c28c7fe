import { formatBytes, formatDuration, shortDigest } from "../format.ts";
import { printable } from "../printable.ts";
import { isFinished, PullState } from "./pull-state.ts";
import type { LayerState } from "./pull-state.ts";
import { totals } from "./totals.ts";
import type { ProgressView, Rows, ViewStream } from "./view.ts";

const frameMs = 100;
const barWidth = 20;

/** One line a layer, with a bar for what is fetched and one for what is unpacked, or one line a blob; drawn again in place. */
export function createTerminalView(stream: ViewStream, rows: Rows): ProgressView {
  const state = new PullState(rows);
  let drawn = 0;
  let last = 0;
  const draw = (): void => {
    const lines = frame(state, stream.rows ?? 24).map((line) =>
      line.slice(0, Math.max(20, (stream.columns ?? 80) - 1)),
    );
    // Up to the first line of the last frame, and clear from there to the end of the screen.
    const back = drawn === 0 ? "" : `\u001B[${drawn}A\r\u001B[J`;
    stream.write(`${back}${lines.join("\n")}\n`);
    drawn = lines.length;
    last = performance.now();
  };
  return {
    onProgress(event) {
      state.apply(event);
      if (performance.now() - last >= frameMs) draw();
    },
    finish: () => {
      // Nothing is known of an image that was not found.
      if (state.name !== "" || state.layers.length > 0) draw();
    },
  };
}

/** More layers than the screen has rows are cut to those that are not finished: what scrolled away cannot be redrawn. */
function frame(state: PullState, rows: number): string[] {
  const room = Math.max(1, rows - 3);
  const unfinished = state.layers.filter((layer) => !isFinished(layer));
  const shown = state.layers.length <= room ? state.layers : unfinished.slice(0, room);
  const elapsed = formatDuration(performance.now() - state.startedAt);
  return [printable(state.name), ...shown.map((layer) => layerLine(layer, state.rows)), `${totals(state)}  ${elapsed}`];
}

function layerLine(layer: LayerState, rows: Rows): string {
  const id = shortDigest(layer.digest);
  if (layer.phase === "exists") return `${id}  exists`;
  if (isFinished(layer)) return `${id}  ${layer.phase.padEnd(8)}  ${formatBytes(layer.size)}`;
  if (layer.phase === "waiting") return `${id}  waiting   ${formatBytes(layer.size)}`;
  const unpack = rows === "blobs" ? "" : `  unpack ${bar(layer.applied, layer.size)}`;
  return `${id}  fetch ${bar(layer.fetched, layer.size)}${unpack}  ${formatBytes(layer.size)}`;
}

function bar(value: number, total: number): string {
  const filled = total === 0 ? barWidth : Math.round((Math.min(value, total) / total) * barWidth);
  return `[${"=".repeat(filled)}${" ".repeat(barWidth - filled)}]`;
}
