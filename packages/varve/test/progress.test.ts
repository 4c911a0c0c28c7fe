import type { ProgressEvent } from "@varve/images";
import { digestOf } from "@varve/digest";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { expect, test, vi } from "vitest";
// Views are no part of the package's surface; the command is, and it shows them only on a terminal.
import { createBytesView } from "../src/progress/bytes-view.ts";
import { createProgressView } from "../src/progress/progress-view.ts";
import type { ProgressMode } from "../src/progress/progress-modes.ts";

const layer = (name: string, size: number): Descriptor => ({
  mediaType: mediaTypes.ociLayerGzip,
  digest: digestOf(Buffer.from(name)),
  size,
});
const [one, two] = [layer("one", 1000), layer("two", 2_000_000)] as const;
const chainId = digestOf(Buffer.from("chain"));

const events: readonly ProgressEvent[] = [
  { type: "resolved", name: "localhost/app:v1", target: one },
  { type: "layers", layers: [one, two], diffIds: [one.digest, two.digest] },
  { type: "exists", descriptor: one, what: "snapshot", chainId },
  { type: "fetching", descriptor: two, bytes: 1_000_000 },
  { type: "applying", descriptor: two, bytes: 500_000 },
  { type: "retry", descriptor: two, attempt: 1, error: new Error("reset") },
  { type: "fetched", descriptor: two },
  { type: "committed", descriptor: two, chainId },
];

function show(mode: ProgressMode, shown: readonly ProgressEvent[], isTTY = false, rows?: "blobs"): string {
  let text = "";
  const view = createProgressView(mode, {
    rows,
    stream: { isTTY, columns: 100, rows: 30, write: (part) => (text += part) },
  });
  for (const event of shown) view.onProgress(event);
  view.finish();
  return text;
}

test("a log gets one line for each finished layer, and no control codes", () => {
  const lines = show("auto", events).trimEnd().split("\n");
  expect(lines).toEqual([
    expect.stringContaining("localhost/app:v1: sha256:"),
    expect.stringMatching(/^[\da-f]{12}: exists, 1\.00 kB, \d/),
    expect.stringMatching(/^[\da-f]{12}: trying again$/),
    expect.stringMatching(/^[\da-f]{12}: unpacked, 2\.00 MB, \d/),
  ]);
});

test("a terminal gets one line a layer with bars for fetch and unpack, drawn again in place", () => {
  const text = show("auto", events.slice(0, 5), true);
  const last = text.split("\u001B[J").at(-1) ?? "";
  expect(last).toContain("exists");
  expect(last).toContain("fetch [==========          ]  unpack [=====               ]");
  expect(last).toContain("501 kB unpacked / 1.00 MB fetched / 2.00 MB");
});

test("more layers than the screen has rows are cut, so that drawing again stays on the screen", () => {
  const layers = Array.from({ length: 100 }, (_, index) => layer(String(index), 10));
  const text = show("tty", [{ type: "layers", layers, diffIds: [] }]);
  for (const frame of text.split("\u001B[J")) expect(frame.trimEnd().split("\n").length).toBeLessThanOrEqual(30);
});

test("JSON progress is one versioned object a line", () => {
  const lines = show("json", events)
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(lines).toHaveLength(events.length);
  expect(lines[3]).toEqual({ version: 1, type: "fetching", descriptor: two, bytes: 1_000_000 });
  expect(lines[5]).toMatchObject({ version: 1, type: "retry", error: "reset" });
});

test("none shows nothing", () => {
  expect(show("none", events, true)).toBe("");
});

test("two layers with one digest finish one after the other", () => {
  const text = show("tty", [
    { type: "layers", layers: [one, one], diffIds: [] },
    { type: "committed", descriptor: one, chainId },
  ]);
  const last = text.split("\u001B[J").at(-1) ?? "";
  expect(last.match(/unpacked {2}1/g)).toHaveLength(1);
  expect(last).toMatch(/waiting|working|fetch/);
});

const fetchEvents: readonly ProgressEvent[] = [
  { type: "resolved", name: "localhost/app:v1", target: one },
  { type: "exists", descriptor: one, what: "blob" },
  { type: "fetching", descriptor: two, bytes: 1_000_000 },
];

// G-39
test("of a fetch every blob has its line, and nothing is said of unpacking", () => {
  const fetched = [...fetchEvents, { type: "fetched", descriptor: two } as const];
  expect(show("plain", fetched, false, "blobs").trimEnd().split("\n")).toEqual([
    expect.stringContaining("localhost/app:v1: sha256:"),
    expect.stringMatching(/^[\da-f]{12}: exists, 1\.00 kB, \d/),
    expect.stringMatching(/^[\da-f]{12}: fetched, 2\.00 MB, \d/),
  ]);
  const half = show("tty", fetchEvents, false, "blobs").split("\u001B[J").at(-1) ?? "";
  expect(half).toContain("fetch [==========          ]  2.00 MB");
  expect(half).toContain("1.00 MB fetched / 2.00 MB");
  expect(show("tty", fetched, false, "blobs")).toMatch(/[\da-f]{12} {2}fetched {3}2\.00 MB/);
  expect(show("tty", fetched, false, "blobs")).not.toContain("unpack");
});

test.each(["tty", "plain", "json", "none"] as const)("a long look at the store is shown as %s", (mode) => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
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
  } finally {
    vi.useRealTimers();
  }
});
