import type { ProgressEvent, TransferSummary } from "@varve/images";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
// Views are no part of the package's surface; the command is, and it shows them only on a terminal.
import { createBytesView } from "../src/progress/bytes-view.ts";
import { createProgressView } from "../src/progress/progress-view.ts";
import type { Rows } from "../src/progress/view.ts";
import {
  applying,
  fetched,
  fetching,
  highId,
  id,
  layers,
  one,
  play,
  resolved,
  retry,
  summary,
  two,
  whole,
} from "./progress-scene.ts";
import { Terminal } from "./terminal.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The lines of a log, while nothing else comes up to the end. */
function logOf(
  script: readonly (readonly [number, ProgressEvent])[],
  end = 0,
  rows?: Rows,
  intervalMs?: number,
): string[] {
  let text = "";
  const view = createProgressView("auto", { rows, intervalMs, stream: { write: (part) => (text += part) } });
  play(view, script);
  vi.advanceTimersByTime(end);
  view.finish();
  return text.trimEnd().split("\n");
}

function linesOf(script: readonly (readonly [number, ProgressEvent])[], end?: TransferSummary): unknown[] {
  let text = "";
  const view = createProgressView("json", { stream: { write: (part) => (text += part) } });
  play(view, script);
  view.finish();
  if (end !== undefined) view.summarize(end);
  return text
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
}

describe("a log", () => {
  test("gets one line for each finished layer with its size, times and rate, and no control codes", () => {
    expect(logOf(whole)).toEqual([
      `localhost/app:v1: ${one.digest}`,
      `${id(one)}: exists, 1.00 kB`,
      `${id(two)}: unpacked, 20.0 MB, fetch 2.00 s (10.0 MB/s), unpack 1.50 s`,
    ]);
  });

  test("gets a line with the sums every five seconds, also when nothing happens any more", () => {
    expect(logOf(whole.slice(0, 6), 13_000).slice(2)).toEqual([
      "5.00 s: 5.00 MB unpacked (1.00 MB/s) / 10.0 MB fetched (2.00 MB/s) / 20.0 MB, about 15 s left, 1 of 2 layers done",
      "10.0 s: 5.00 MB unpacked / 10.0 MB fetched / 20.0 MB, 1 of 2 layers done",
    ]);
  });

  test("gets that line at the interval that is wanted", () => {
    expect(logOf([[100, resolved]], 2000, "layers", 1000).slice(1)).toEqual([
      "1.00 s: reading manifests",
      "2.00 s: reading manifests",
    ]);
  });

  test("is told of retries, of what goes on where it was broken off, and of waits for others", () => {
    const resumed: ProgressEvent = { type: "resumed", descriptor: two, bytes: 4_000_000 };
    const waiting: ProgressEvent = { type: "waiting", descriptor: two, reason: "locked by another" };
    expect(
      logOf([
        [0, layers],
        [0, waiting],
        [0, { ...waiting, for: "place" }],
        [0, resumed],
        [0, retry],
      ]),
    ).toEqual([`${id(two)}: waiting: locked by another`, `${id(two)}: resumed at 4.00 MB`, `${id(two)}: trying again`]);
  });

  // G-39
  test("of a fetch has a line for every blob, and nothing of unpacking", () => {
    const lines = logOf(
      [
        [0, resolved],
        [0, { type: "exists", descriptor: one, what: "blob" }],
        [0, fetching(0)],
        [1000, fetched],
      ],
      5000,
      "blobs",
    );
    expect(lines).toEqual([
      `localhost/app:v1: ${one.digest}`,
      `${id(one)}: exists, 1.00 kB`,
      `${id(two)}: fetched, 20.0 MB, fetch 1.00 s (20.0 MB/s)`,
      "5.00 s: 20.0 MB fetched (4.00 MB/s) / 20.0 MB, 2 of 2 blobs done",
    ]);
  });

  test("ends with what it came to", () => {
    let text = "";
    createProgressView("plain", { stream: { write: (part) => (text += part) } }).summarize(summary);
    expect(text.trimEnd().split("\n")).toEqual([
      "fetched 20.0 MB in 3 blobs (10.0 MB/s); reused 1.00 kB, 0 blobs and 1 layer",
      "in 3.10 s: resolve 0.10 s, manifests 0.10 s, fetch 2.00 s, unpack 1.50 s, commit 0.20 s",
      `critical path: resolve 0.10 s, manifests 0.10 s, fetch ${id(two)} 2.00 s, unpack 0.70 s, commit 0.20 s`,
    ]);
  });
});

describe("JSON lines", () => {
  // G-71
  test("are one versioned object an event, with phases, bytes and what it is about", () => {
    const lines = linesOf([...whole, [3000, retry]]);
    expect(lines).toHaveLength(whole.length + 1);
    expect(lines[4]).toEqual({ version: 1, type: "fetching", descriptor: two, bytes: 10_000_000 });
    expect(lines[5]).toEqual({ version: 1, type: "applying", descriptor: two, chainId: highId, bytes: 5_000_000 });
    expect(lines[7]).toEqual({ version: 1, type: "applied", descriptor: two, chainId: highId });
    expect(lines[8]).toEqual({ version: 1, type: "committed", descriptor: two, chainId: highId });
    expect(lines[9]).toEqual({ version: 1, type: "retry", descriptor: two, attempt: 1, error: "reset" });
  });

  test("count bytes at most ten times a second, and the last ones always", () => {
    const counts = Array.from({ length: 100 }, (_, index) => [index * 10, fetching(index)] as const);
    const lines = linesOf([...counts, [995, applying(1)], [995, fetching(two.size)]]);
    expect(lines).toHaveLength(10 + 2);
    expect(lines.at(-1)).toMatchObject({ bytes: two.size });
  });

  test("end with what it came to", () => {
    expect(linesOf([[0, resolved]], summary).at(-1)).toEqual({ version: 1, type: "summary", ...summary });
  });
});

test("none shows nothing", () => {
  const terminal = new Terminal(80, 24);
  const view = createProgressView("none", { stream: terminal });
  play(view, whole);
  vi.advanceTimersByTime(10_000);
  view.finish();
  view.summarize(summary);
  expect(terminal.writes).toBe(0);
});

test.each(["tty", "plain", "json", "none"] as const)("a long look at the store is shown as %s", (mode) => {
  let text = "";
  const view = createBytesView("checked", mode, { write: (part) => (text += part) });
  view.onBytes({ bytes: 1, total: 2000 });
  vi.advanceTimersByTime(5000);
  view.onBytes({ bytes: 1000, total: 2000 });
  view.finish();
  expect(text).toBe(
    {
      tty: "\r\u001B[K1.00 kB / 2.00 kB checked  5.00 s\r\u001B[K",
      plain: "1.00 kB / 2.00 kB checked  5.00 s\n",
      json: '{"version":1,"type":"checked","bytes":1000,"total":2000}\n',
      none: "",
    }[mode],
  );
});
