import type { ProgressEvent } from "@varve/images";
import { chainIds } from "@varve/digest";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
// Views are no part of the package's surface; the command is, and it shows them only on a terminal.
import { printNote } from "../src/output.ts";
import { createProgressView } from "../src/progress/progress-view.ts";
import type { ProgressView, Rows } from "../src/progress/view.ts";
import {
  applied,
  applying,
  fetched,
  fetching,
  highId,
  id,
  layer,
  layers,
  lowExists,
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

function viewOn(terminal: Terminal, rows?: Rows): ProgressView {
  return createProgressView("auto", { rows, stream: terminal });
}

describe("a terminal", () => {
  test("of 80 columns shows a line a layer, with what is fetched and unpacked and how fast", () => {
    const terminal = new Terminal(80, 24);
    play(viewOn(terminal), whole.slice(0, 6));
    vi.advanceTimersByTime(200);
    expect(terminal.text).toEqual([
      "1.50 s  localhost/app:v1",
      `${id(one)}   1.00 kB  exists`,
      `${id(two)}   20.0 MB  fetch [====    ] 8.33 MB/s  unpack [=      ] 25.0 MB/s`,
      "5.00 MB unpacked (3.33 MB/s) / 10.0 MB fetched (6.67 MB/s) / 20.0 MB",
    ]);
  });

  test("of 200 columns has room for long bars, bytes, and how long it may take", () => {
    const terminal = new Terminal(200, 50);
    play(viewOn(terminal), whole.slice(0, 6));
    vi.advanceTimersByTime(200);
    expect(terminal.text.slice(2)).toEqual([
      `${id(two)}   20.0 MB  fetch [${"=".repeat(20)}${" ".repeat(20)}]  10.0 MB 8.33 MB/s                     unpack [${"=".repeat(10)}${" ".repeat(30)}]  5.00 MB 25.0 MB/s`,
      "5.00 MB unpacked (3.33 MB/s) / 10.0 MB fetched (6.67 MB/s) / 20.0 MB, about 5 s left",
    ]);
  });

  test("of a few columns shows percents, and no line is too long", () => {
    const terminal = new Terminal(44, 24);
    play(viewOn(terminal), whole.slice(0, 6));
    vi.advanceTimersByTime(200);
    expect(terminal.text[2]).toBe(`${id(two)}   20.0 MB  fetch  50%  unpack`);
    expect(terminal.text.length).toBe(4);
  });

  test("shows rates that fall while nothing comes, and time that goes by", () => {
    const terminal = new Terminal(80, 24);
    play(viewOn(terminal), whole.slice(0, 6));
    vi.advanceTimersByTime(10_000);
    expect(terminal.text[0]).toBe("11.3 s  localhost/app:v1");
    expect(terminal.text[2]).toContain("fetch [====    ]     0 B/s");
    expect(terminal.text.at(-1)).toBe("5.00 MB unpacked / 10.0 MB fetched / 20.0 MB");
  });

  test.each([
    ["a place", [], "waits for a place"],
    [
      "another process that fetches it",
      [{ type: "waiting", descriptor: two, reason: "x" }],
      "waits for another process",
    ],
    ["its bytes to be verified", [fetching(two.size)], "verifying"],
    ["another attempt", [fetching(5), retry], "trying again"],
    ["an unpacker", [fetching(0), fetched], "fetch [========]            waits to be unpacked"],
    [
      "another process that unpacks it",
      [fetched, { type: "waiting", descriptor: two, chainId: highId, reason: "x" }],
      "stored                      waits for another process",
    ],
    [
      "the layer below",
      [fetching(0), applying(9), fetched, applied],
      "fetch [========]            waits for the layer below",
    ],
    [
      "nothing but its own commit",
      [fetching(0), applying(9), fetched, applied, lowExists],
      "fetch [========]            committing",
    ],
  ] satisfies [string, ProgressEvent[], string][])("says that a layer waits for %s", (_what, events, shown) => {
    const terminal = new Terminal(80, 24);
    const view = viewOn(terminal);
    play(
      view,
      [resolved, layers, ...events].map((event) => [0, event] as const),
    );
    vi.advanceTimersByTime(100);
    expect(terminal.text[2]).toBe(`${id(two)}   20.0 MB  ${shown}`);
  });

  test("gets at most ten pictures a second, each with one write, and none that shows nothing new", () => {
    const terminal = new Terminal(80, 24);
    const view = viewOn(terminal);
    play(view, [[0, resolved]]);
    for (let at = 0; at < 1000; at += 1) {
      vi.advanceTimersByTime(1);
      view.onProgress(fetching(at));
    }
    expect(terminal.writes).toBe(10);
  });

  test("gets nothing while it does not keep up", () => {
    const terminal = new Terminal(80, 24);
    const view = viewOn(terminal);
    play(view, [[0, resolved]]);
    terminal.writableNeedDrain = true;
    vi.advanceTimersByTime(1000);
    expect(terminal.writes).toBe(0);
    terminal.writableNeedDrain = false;
    vi.advanceTimersByTime(100);
    expect(terminal.writes).toBe(1);
  });

  const sixty = Array.from({ length: 60 }, (_, index) => layer(`layer ${index}`, 1000));
  const sixtyIds = sixty.map(({ digest }) => digest);
  const chain = chainIds(sixtyIds);
  const chainId = (index: number): (typeof sixtyIds)[number] => chain[index] ?? one.digest;

  test("shows of more layers than it has rows those that are worked on, and how many there are besides", () => {
    const terminal = new Terminal(80, 24);
    const script: ProgressEvent[] = [resolved, { type: "layers", layers: sixty, diffIds: sixtyIds }];
    for (const [index, descriptor] of sixty.entries()) {
      if (index < 12) script.push({ type: "committed", descriptor, chainId: chainId(index) });
      if (index >= 12 && index < 35) script.push({ type: "fetched", descriptor });
      if (index >= 50 && index < 53) script.push(fetching(500, descriptor));
    }
    play(
      viewOn(terminal),
      script.map((event) => [0, event] as const),
    );
    vi.advanceTimersByTime(100);
    expect(terminal.text.length).toBe(23);
    const shown = terminal.text.slice(1, 21);
    expect(shown.map((line) => line.slice(0, 12))).toEqual(
      [...sixty.slice(12, 29), ...sixty.slice(50, 53)].map((descriptor) => id(descriptor)),
    );
    expect(terminal.text[21]).toBe("… 28 more, 12 done");
    expect(terminal.cursor).toEqual([0, 23]);
  });

  test("keeps its picture in one place to the end, however many layers there are", () => {
    const terminal = new Terminal(80, 24);
    terminal.write("$ varve pull\n");
    const view = viewOn(terminal);
    play(view, [
      [0, resolved],
      [500, { type: "layers", layers: sixty, diffIds: sixtyIds }],
      ...sixty.map((descriptor, index) => {
        return [1000 + index * 50, { type: "committed", descriptor, chainId: chainId(index) }] as const;
      }),
    ]);
    view.finish();
    expect(terminal.text.length).toBe(1 + 23);
    expect(terminal.text[0]).toBe("$ varve pull");
    expect(terminal.text.at(-2)).toBe("… 60 done");
    expect(terminal.cursor[0]).toBe(0);
  });

  test.each([2, 3, 4, 5])("of %i rows is no trouble", (rows) => {
    const terminal = new Terminal(80, rows);
    play(viewOn(terminal), whole);
    vi.advanceTimersByTime(1000);
    expect(terminal.text.length).toBeLessThanOrEqual(rows);
    expect(terminal.text.at(-1)).toMatch(/^20\.0 MB unpacked/);
  });

  test("that gets narrower keeps no leftovers of wider pictures", () => {
    const terminal = new Terminal(120, 24);
    const view = viewOn(terminal);
    play(view, whole.slice(0, 6));
    vi.advanceTimersByTime(200);
    terminal.narrow(60);
    vi.advanceTimersByTime(200);
    expect(terminal.text.length).toBe(4);
    expect(terminal.text[0]).toBe("1.70 s  localhost/app:v1");
    expect(Math.max(...terminal.text.map((line) => line.length))).toBeLessThan(60);
  });

  test("shows what happens before there are layers, and nothing is left of what was not found", () => {
    const terminal = new Terminal(80, 24);
    const view = viewOn(terminal);
    vi.advanceTimersByTime(1000);
    expect(terminal.text).toEqual(["1.00 s", "resolving"]);
    view.finish();
    expect(terminal.text).toEqual([]);
    expect(terminal.cursor).toEqual([0, 0]);
  });

  test("is not drawn on after the end", () => {
    const terminal = new Terminal(80, 24);
    const view = viewOn(terminal);
    play(view, whole);
    view.finish();
    const { writes } = terminal;
    vi.advanceTimersByTime(5000);
    view.finish();
    expect(terminal.writes).toBe(writes);
  });

  test("ends with the cursor below the picture, ready for what comes next", () => {
    const terminal = new Terminal(80, 24);
    const view = viewOn(terminal);
    play(view, whole);
    view.finish();
    view.summarize(summary);
    expect(terminal.text[2]).toBe(`${id(two)}   20.0 MB  unpacked  fetch 2.00 s (10.0 MB/s)  unpack 1.50 s`);
    expect(terminal.text.slice(4)).toEqual([
      expect.stringMatching(/^fetched/),
      expect.stringMatching(/^in 3/),
      expect.stringMatching(/^s$|^ /),
      expect.stringMatching(/^critical path: /),
      expect.any(String),
    ]);
  });

  test("does nothing that a hostile name tells it", () => {
    const terminal = new Terminal(80, 24);
    const view = viewOn(terminal);
    // The emulator throws at every control character but the view's own.
    play(view, [
      [0, { type: "resolved", name: "a\u001B]0;title\u0007\u009B2J\u202Eb\u{1F600}\u4E00\r\nc", target: one }],
    ]);
    view.finish();
    expect(terminal.text[0]).toBe("0.00 s  a?]0;title??2J?b????c");
  });

  test("shows notes above the picture, where they stay", () => {
    const terminal = new Terminal(80, 24);
    const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      const view = viewOn(terminal);
      play(view, whole.slice(0, 3));
      vi.advanceTimersByTime(200);
      printNote("localhost warns: soon\u001B[2J");
      vi.advanceTimersByTime(200);
      expect(terminal.text).toEqual([
        "localhost warns: soon?[2J",
        expect.stringMatching(/^0\.\d\d s {2}localhost/),
        expect.stringContaining("exists"),
        expect.stringContaining("waits for a place"),
        expect.stringContaining("unpacked /"),
      ]);
      expect(write).not.toHaveBeenCalled();
      view.finish();
      printNote("afterwards");
      expect(write.mock.calls).toEqual([["afterwards\n"]]);
    } finally {
      write.mockRestore();
    }
  });

  test("shows two layers of one digest apart", () => {
    const terminal = new Terminal(80, 24);
    const same = chainIds([two.digest, two.digest]);
    play(viewOn(terminal), [
      [0, resolved],
      [0, { type: "layers", layers: [two, two], diffIds: [two.digest, two.digest] }],
      [0, fetched],
      [0, { type: "applying", descriptor: two, chainId: same[1], bytes: two.size / 2 }],
      [0, { type: "committed", descriptor: two, chainId: same[0] ?? two.digest }],
    ]);
    vi.advanceTimersByTime(100);
    expect(terminal.text.slice(1, 3)).toEqual([
      expect.stringMatching(/unpacked/),
      expect.stringMatching(/stored {22}unpack \[=== {4}\]/),
    ]);
  });

  // G-39
  test("of a fetch has one bar for each blob", () => {
    const terminal = new Terminal(80, 24);
    play(viewOn(terminal, "blobs"), [
      [0, resolved],
      [0, { type: "exists", descriptor: one, what: "blob" }],
      [0, fetching(two.size / 2)],
    ]);
    vi.advanceTimersByTime(100);
    expect(terminal.text.slice(1)).toEqual([
      `${id(one)}   1.00 kB  exists`,
      `${id(two)}   20.0 MB  fetch [==================                   ]     0 B/s`,
      "10.0 MB fetched (100 MB/s) / 20.0 MB",
    ]);
  });

  test("of a push says send", () => {
    const terminal = new Terminal(80, 24);
    play(viewOn(terminal, "sent blobs"), [
      [0, { type: "pushed", descriptor: one, how: "mounted" }],
      [0, { type: "pushing", descriptor: two, bytes: two.size / 2 }],
    ]);
    vi.advanceTimersByTime(100);
    expect(terminal.text.slice(1)).toEqual([
      `${id(one)}   1.00 kB  mounted`,
      expect.stringContaining("send [====="),
      "10.0 MB sent (100 MB/s) / 20.0 MB",
    ]);
  });
});
