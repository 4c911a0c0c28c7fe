import { createSummary } from "@varve/images";
import type { ProgressEvent, TransferSummary } from "@varve/images";
import { chainIds, digestOf } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import { array, assert, constant, constantFrom, nat, option, property, record, tuple } from "fast-check";
import { describe, expect, test } from "vitest";
import { types } from "./blobs.ts";

const described = (name: string, size: number, mediaType: string = types.layer): Descriptor => ({
  mediaType,
  digest: digestOf(name),
  size,
});

const mega = 1_000_000;
const low = described("low", 10 * mega);
const high = described("high", 10 * mega);
const third = described("third", mega);
const manifest = described("manifest", 500, types.manifest);
const diffIds = [digestOf("low diff"), digestOf("high diff")];
const [lowId = low.digest, highId = low.digest] = chainIds(diffIds);
const resolved: ProgressEvent = { type: "resolved", name: "localhost/app:v1", target: manifest };
const layers: ProgressEvent = { type: "layers", layers: [low, high], diffIds };
const onlyLow: ProgressEvent = { type: "layers", layers: [low], diffIds: diffIds.slice(0, 1) };

/** What comes of events at these milliseconds. */
function summaryAt(end: number, events: readonly (readonly [number, ProgressEvent])[]): TransferSummary {
  let time = 1_000_000;
  const summary = createSummary({ now: () => time });
  for (const [at, event] of events) {
    time = 1_000_000 + at;
    summary.onProgress(event);
  }
  time = 1_000_000 + end;
  return summary.summarize();
}

/** The path in short: `fetch low 100`. */
function path({ criticalPath }: TransferSummary): string[] {
  const names = new Map([low, high].map(({ digest }) => [digest, digest === low.digest ? "low" : "high"]));
  return criticalPath.map(({ phase, digest, ms }) =>
    [phase, ...(digest === undefined ? [] : [names.get(digest) ?? "other"]), ms].join(" "),
  );
}

const start: readonly (readonly [number, ProgressEvent])[] = [
  [100, resolved],
  [150, onlyLow],
];

describe("the critical path", () => {
  test("leads through the download that the unpack kept up with", () => {
    const summary = summaryAt(1520, [
      ...start,
      [150, { type: "fetching", descriptor: low, bytes: 0 }],
      [200, { type: "applying", descriptor: low, chainId: lowId, bytes: mega }],
      [600, { type: "fetching", descriptor: low, bytes: 5 * mega }],
      [1150, { type: "applying", descriptor: low, chainId: lowId, bytes: 10 * mega }],
      [1200, { type: "fetched", descriptor: low }],
      [1400, { type: "applied", descriptor: low, chainId: lowId }],
      [1500, { type: "committed", descriptor: low, chainId: lowId }],
    ]);
    expect(path(summary)).toEqual([
      "resolve 100",
      "manifests 50",
      "fetch low 1050",
      "unpack low 200",
      "commit low 100",
      "finish 20",
    ]);
    expect(summary.phases).toEqual({ resolve: 100, manifests: 50, fetch: 1050, unpack: 1200, commit: 100 });
    expect(summary.durationMs).toBe(1520);
  });

  test("leads through the unpack that could not keep up, from the moment it fell behind", () => {
    const slow = summaryAt(1500, [
      ...start,
      [150, { type: "fetching", descriptor: low, bytes: 0 }],
      [200, { type: "applying", descriptor: low, chainId: lowId, bytes: 4 * mega }],
      [300, { type: "fetching", descriptor: low, bytes: 5 * mega }],
      [350, { type: "fetching", descriptor: low, bytes: 9 * mega }],
      [400, { type: "fetched", descriptor: low }],
      [1400, { type: "applied", descriptor: low, chainId: lowId }],
      [1500, { type: "committed", descriptor: low, chainId: lowId }],
    ]);
    expect(path(slow)).toEqual(["resolve 100", "manifests 50", "fetch low 150", "unpack low 1100", "commit low 100"]);
  });

  test("leads through the storing of a blob whose bytes were all applied before", () => {
    const summary = summaryAt(1000, [
      ...start,
      [150, { type: "fetching", descriptor: low, bytes: 0 }],
      [200, { type: "applying", descriptor: low, chainId: lowId, bytes: 10 * mega }],
      [300, { type: "applied", descriptor: low, chainId: lowId }],
      [900, { type: "fetched", descriptor: low }],
      [1000, { type: "committed", descriptor: low, chainId: lowId }],
    ]);
    expect(path(summary)).toEqual(["resolve 100", "manifests 50", "fetch low 750", "commit low 100"]);
    expect(summary.phases).toMatchObject({ fetch: 750, unpack: 100, commit: 100 });
  });

  test("goes down the chain as long as a commit waited for the one below", () => {
    const summary = summaryAt(1000, [
      [100, resolved],
      [100, layers],
      [100, { type: "fetching", descriptor: low, bytes: 0 }],
      [100, { type: "fetching", descriptor: high, bytes: 0 }],
      [200, { type: "fetched", descriptor: high }],
      [200, { type: "applying", descriptor: high, chainId: highId, bytes: 10 * mega }],
      [300, { type: "applied", descriptor: high, chainId: highId }],
      [700, { type: "fetched", descriptor: low }],
      [700, { type: "applying", descriptor: low, chainId: lowId, bytes: 10 * mega }],
      [800, { type: "applied", descriptor: low, chainId: lowId }],
      [900, { type: "committed", descriptor: low, chainId: lowId }],
      [1000, { type: "committed", descriptor: high, chainId: highId }],
    ]);
    expect(path(summary)).toEqual([
      "resolve 100",
      "fetch low 600",
      "unpack low 100",
      "commit low 100",
      "commit high 100",
    ]);
    // The upper one was ready long before, and that is no time of its commit.
    expect(summary.phases).toMatchObject({ fetch: 600, unpack: 200, commit: 200 });
  });

  test("leads through the download whose place the next one had to wait for", () => {
    const summary = summaryAt(1000, [
      [100, resolved],
      [100, layers],
      [100, { type: "fetching", descriptor: low, bytes: 0 }],
      [500, { type: "fetched", descriptor: low }],
      [501, { type: "applying", descriptor: low, chainId: lowId, bytes: 10 * mega }],
      [505, { type: "fetching", descriptor: high, bytes: 0 }],
      [550, { type: "applied", descriptor: low, chainId: lowId }],
      [560, { type: "committed", descriptor: low, chainId: lowId }],
      [700, { type: "fetched", descriptor: high }],
      [700, { type: "applying", descriptor: high, chainId: highId, bytes: 10 * mega }],
      [900, { type: "applied", descriptor: high, chainId: highId }],
      [1000, { type: "committed", descriptor: high, chainId: highId }],
    ]);
    expect(path(summary)).toEqual([
      "resolve 100",
      "fetch low 400",
      "wait high 5",
      "fetch high 195",
      "unpack high 200",
      "commit high 100",
    ]);
  });

  test("leads through the unpack whose place the next one had to wait for", () => {
    const summary = summaryAt(1000, [
      [100, resolved],
      [100, { type: "layers", layers: [low, high, third], diffIds: [...diffIds, digestOf("third diff")] }],
      ...[low, high, third].map(
        (descriptor) => [150, { type: "fetched", descriptor }] satisfies [number, ProgressEvent],
      ),
      [150, { type: "applying", descriptor: low, chainId: lowId, bytes: mega }],
      [150, { type: "applying", descriptor: high, chainId: highId, bytes: mega }],
      [500, { type: "applied", descriptor: high, chainId: highId }],
      [510, { type: "applying", descriptor: third, bytes: mega }],
      [600, { type: "applied", descriptor: low, chainId: lowId }],
      [610, { type: "committed", descriptor: low, chainId: lowId }],
      [620, { type: "committed", descriptor: high, chainId: highId }],
      [900, { type: "applied", descriptor: third }],
      [1000, { type: "committed", descriptor: third, chainId: digestOf("third chain") }],
    ]);
    expect(path(summary).slice(-3)).toEqual(["unpack high 350", "unpack other 400", "commit other 100"]);
  });

  test("leads through all layers when each is begun on top of the one below", () => {
    const summary = summaryAt(1000, [
      [100, resolved],
      [100, layers],
      [100, { type: "fetching", descriptor: low, bytes: 0 }],
      [100, { type: "fetching", descriptor: high, bytes: 0 }],
      [200, { type: "fetched", descriptor: low }],
      [200, { type: "fetched", descriptor: high }],
      [200, { type: "applying", descriptor: low, chainId: lowId, bytes: 10 * mega }],
      [400, { type: "applied", descriptor: low, chainId: lowId }],
      [500, { type: "committed", descriptor: low, chainId: lowId }],
      [510, { type: "applying", descriptor: high, chainId: highId, bytes: 10 * mega }],
      [900, { type: "applied", descriptor: high, chainId: highId }],
      [1000, { type: "committed", descriptor: high, chainId: highId }],
    ]);
    expect(path(summary)).toEqual([
      "resolve 100",
      "fetch low 100",
      "unpack low 200",
      "commit low 100",
      "unpack high 400",
      "commit high 100",
    ]);
  });

  test("waits for what another process unpacks", () => {
    const summary = summaryAt(1000, [
      ...start,
      [160, { type: "waiting", descriptor: low, chainId: lowId, reason: "another unpack of the same layer" }],
      [990, { type: "exists", descriptor: low, what: "snapshot", chainId: lowId }],
    ]);
    expect(path(summary)).toEqual(["resolve 100", "manifests 50", "wait 10", "wait low 830", "finish 10"]);
    expect(summary.unpacked.layers).toBe(0);
  });

  test("is short when everything is there", () => {
    const summary = summaryAt(180, [
      ...start,
      [170, { type: "exists", descriptor: low, what: "snapshot", chainId: lowId }],
    ]);
    expect(path(summary)).toEqual(["resolve 100", "manifests 50", "finish 30"]);
  });

  test("of a fetch without unpacking leads through blobs", () => {
    const summary = summaryAt(500, [
      [100, resolved],
      [100, { type: "fetching", descriptor: manifest, bytes: 0 }],
      [200, { type: "fetched", descriptor: manifest }],
      [200, { type: "fetching", descriptor: low, bytes: 0 }],
      [450, { type: "fetched", descriptor: low }],
    ]);
    expect(path(summary)).toEqual(["resolve 100", "manifests other 100", "fetch low 250", "finish 50"]);
    expect(summary.phases).toEqual({ resolve: 100, manifests: 100, fetch: 250, unpack: 0, commit: 0 });
  });
});

describe("sums", () => {
  test("tell what came over the network from what was there", () => {
    const { fetched, reused, unpacked, resumedBytes, retries } = summaryAt(1000, [
      [10, resolved],
      [10, { type: "exists", descriptor: manifest, what: "blob" }],
      [20, layers],
      [30, { type: "exists", descriptor: low, what: "snapshot", chainId: lowId }],
      [30, { type: "resumed", descriptor: high, bytes: 4 * mega }],
      [30, { type: "fetching", descriptor: high, bytes: 4 * mega }],
      [40, { type: "fetching", descriptor: high, bytes: 7 * mega }],
      [90, { type: "fetched", descriptor: high }],
      [90, { type: "committed", descriptor: high, chainId: highId }],
    ]);
    expect({ fetched, reused, unpacked, resumedBytes, retries }).toEqual({
      fetched: { blobs: 1, bytes: 6 * mega },
      reused: { blobs: 1, bytes: 500 + 10 * mega, layers: 1 },
      unpacked: { layers: 1, bytes: 10 * mega },
      resumedBytes: 4 * mega,
      retries: 0,
    });
  });

  test("do not call a layer's bytes reused that were fetched, though another process was faster with its commit", () => {
    const { fetched, reused } = summaryAt(1000, [
      [0, onlyLow],
      [10, { type: "fetched", descriptor: low }],
      [20, { type: "applied", descriptor: low, chainId: lowId }],
      [90, { type: "exists", descriptor: low, what: "snapshot", chainId: lowId }],
    ]);
    expect(fetched).toEqual({ blobs: 1, bytes: 10 * mega });
    expect(reused).toEqual({ blobs: 0, bytes: 0, layers: 1 });
  });

  test("count the bytes of an attempt that was in vain, and what it had resumed no more", () => {
    const { fetched, resumedBytes, retries } = summaryAt(1000, [
      [30, { type: "resumed", descriptor: low, bytes: 4 * mega }],
      [40, { type: "fetching", descriptor: low, bytes: 10 * mega }],
      [50, { type: "retry", descriptor: low, attempt: 1, error: new Error("digest") }],
      [50, { type: "fetching", descriptor: low, bytes: 0 }],
      [90, { type: "fetched", descriptor: low }],
    ]);
    expect(fetched).toEqual({ blobs: 1, bytes: 16 * mega });
    expect([resumedBytes, retries]).toEqual([0, 1]);
  });

  test("tell two layers of one digest apart by their chain IDs, and count their blob once", () => {
    const chain = chainIds([low.digest, low.digest]);
    const { fetched, reused, unpacked, phases } = summaryAt(100, [
      [0, { type: "layers", layers: [low, low], diffIds: [low.digest, low.digest] }],
      [0, { type: "fetching", descriptor: low, bytes: 0 }],
      [10, { type: "fetched", descriptor: low }],
      ...chain.flatMap((chainId, index) => [
        [10 + index * 30, { type: "applying", descriptor: low, chainId, bytes: 1 }] as const,
        [20 + index * 30, { type: "applied", descriptor: low, chainId }] as const,
      ]),
      ...chain.map((chainId) => [90, { type: "committed", descriptor: low, chainId }] as const),
    ]);
    expect({ fetched, reused, unpacked }).toEqual({
      fetched: { blobs: 1, bytes: low.size },
      reused: { blobs: 0, bytes: 0, layers: 0 },
      unpacked: { layers: 2, bytes: 2 * low.size },
    });
    expect(phases.unpack).toBe(20);
  });

  test("of a transfer under way count what runs until now", () => {
    const { durationMs, phases } = summaryAt(700, [...start, [200, { type: "fetching", descriptor: low, bytes: 1 }]]);
    expect([durationMs, phases.fetch]).toEqual([700, 500]);
  });
});

const three = [...diffIds, digestOf("third diff")];
const everyType = [
  "resolved",
  "layers",
  "waiting",
  "resumed",
  "fetching",
  "fetched",
  "applying",
  "applied",
  "committed",
  "exists",
  "pushing",
  "pushed",
  "retry",
] as const satisfies readonly ProgressEvent["type"][];

/** With all that any of them has. */
const anyEvent = record({
  type: constantFrom(...everyType),
  descriptor: constantFrom(low, high, third, manifest),
  chainId: option(constantFrom(...chainIds(three)), { nil: undefined }),
  bytes: nat(11 * mega),
  what: constantFrom("blob", "snapshot"),
  target: constant(manifest),
  layers: constant([low, high, third]),
  diffIds: constant(three),
}).map((event) => event as unknown as ProgressEvent);

// Many at the same moment: what comes in one turn of the event loop has one time.
const steps = array(tuple(constantFrom(0, 0, 0.4, 1.5, 37, 1000), anyEvent), { maxLength: 60 });

describe("whatever happens in whatever order", () => {
  test("nothing is thrown, the path adds up, and sums stay within what happened", () => {
    assert(
      property(steps, (taken) => {
        let at = 0;
        const events = taken.map(([pause, event]) => [(at += pause), event] as const);
        const { criticalPath, durationMs, fetched, phases, reused, unpacked } = summaryAt(at + 3, events);
        expect(criticalPath.reduce((sum, { ms }) => sum + ms, 0)).toBe(durationMs);
        for (const { ms } of criticalPath) expect(ms).toBeGreaterThan(0);
        for (const ms of Object.values(phases)) {
          expect(ms).toBeGreaterThanOrEqual(0);
          expect(ms).toBeLessThanOrEqual(durationMs);
        }
        expect(fetched.blobs + reused.blobs).toBeLessThanOrEqual(4);
        expect(unpacked.layers + reused.layers).toBeLessThanOrEqual(events.length);
        expect(fetched.bytes).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
  });
});
