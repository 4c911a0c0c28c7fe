// Tests the marking itself, which is not part of the package's surface, beside the whole collector.
import { array, assert, asyncProperty, boolean, constantFrom, nat, property, record, uniqueArray } from "fast-check";
import { expect, test } from "vitest";
import { Graph } from "../src/gc/graph.ts";
import type { SeedKind } from "../src/gc/graph.ts";
import { Marks } from "../src/gc/mark.ts";
import { d, openWorld } from "./gc-world.ts";

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly fixed: boolean;
}

const size = 12;
const node = nat({ max: size - 1 });
const edges = array(record({ from: node, to: node, fixed: boolean() }), { maxLength: 40 });
const seeds = array(record({ node, kind: constantFrom<SeedKind>("kept", "flat", "gone") }), { maxLength: 6 });

/** By the book: adds what is referred to until nothing changes. */
function reachable(roots: readonly number[], all: readonly Edge[]): Set<number> {
  const reached = new Set(roots);
  for (let before = -1; before !== reached.size;) {
    before = reached.size;
    for (const { from, to } of all) if (reached.has(from)) reached.add(to);
  }
  return reached;
}

function graphOf(all: readonly Edge[]): Graph {
  const graph = new Graph();
  for (let id = 0; id < size; id += 1) graph.add("default", "content", "", String(id));
  for (const { from, to, fixed } of all) graph.edge(from, to, `${from} to ${to}`, fixed);
  return graph;
}

// C-GC.7, U-GC.5
test("marking keeps what can be reached, over all references from roots, over fixed ones from flat leases", () => {
  assert(
    property(edges, seeds, (all, starts) => {
      const graph = graphOf(all);
      for (const { node: at, kind } of starts) graph.seeds.push({ node: at, kind, by: kind, from: -1 });
      const marks = new Marks(graph);
      for (const _ of marks.run());
      const of = (kind: SeedKind): number[] => starts.filter((start) => start.kind === kind).map((start) => start.node);
      const full = reachable(of("kept"), all);
      const flat = reachable(
        of("flat"),
        all.filter(({ fixed }) => fixed),
      );
      for (let at = 0; at < size; at += 1) {
        const isKept = full.has(at) || flat.has(at);
        expect(marks.isKept(at)).toBe(isKept);
        const kinds = isKept ? ["kept", "flat"] : ["gone", undefined];
        expect(kinds).toContain(marks.origin(at)?.kind);
        expectPath(marks, graph, at, all);
      }
      expect(marks.edges).toBeLessThanOrEqual(all.length);
    }),
  );
});

/** Every step is a reference that exists, from a root on. */
function expectPath(marks: Marks, graph: Graph, at: number, all: readonly Edge[]): void {
  const origin = marks.origin(at);
  if (origin === undefined) return;
  const path = marks.path(at);
  expect([path[0]?.node, path.at(-1)?.node]).toEqual([origin.node, at]);
  expect(path.length).toBeLessThanOrEqual(graph.size);
  for (const [index, { node: to, by }] of path.entries()) {
    const from = path[index - 1]?.node;
    const isFixed = origin.kind === "flat";
    const isStart = from === undefined && by === origin.kind;
    const leadsOn = all.some((edge) => edge.from === from && edge.to === to && (edge.fixed || !isFixed));
    expect(isStart || leadsOn).toBe(true);
  }
}

// C-GC.3
test("after a run exactly what can be reached is there, whatever the store looked like", async () => {
  const blobs = uniqueArray(node, { minLength: 1 });
  await assert(
    asyncProperty(edges, blobs, uniqueArray(node), uniqueArray(node), async (all, present, roots, orphans) => {
      await using world = await openWorld();
      for (const number of present) {
        const targets = all.filter(({ from }) => from === number).map(({ to }) => to);
        const labels = targets.map((to, index) => [`containerd.io/gc.ref.content.${index}`, d(to)]);
        world.blob(number, { labels: Object.fromEntries(labels) });
      }
      for (const number of orphans) world.content.blobs.set(d(number), 100);
      for (const root of roots) world.image(`image ${root}`, root);
      const known = new Set(present);
      const kept = reachable(
        roots,
        all.filter(({ from }) => known.has(from)),
      );
      const would = await world.metadata.collect({ dryRun: true });
      const { removed, failed } = await world.metadata.collect();
      expect(failed).toEqual([]);
      expect(removed).toEqual(would.removed);
      const left = present.filter((number) => kept.has(number)).map((number) => `content ${number}`);
      expect(world.records().filter((each) => each.startsWith("content"))).toEqual(left.toSorted());
      expect(world.stored().map((number) => `content ${number}`)).toEqual(left.toSorted());
    }),
    { numRuns: 20 },
  );
});

// Promise 7: linear, told by what is done and not by the clock
test.each([1000, 4000])("of %i things every reference is looked at once", (count) => {
  const graph = new Graph();
  for (let id = 0; id < count; id += 1) graph.add("default", "content", "", String(id));
  for (let id = 0; id < count; id += 1) {
    // Down a chain, and back to the start.
    graph.edge(id, (id + 1) % count, "chain", false);
    graph.edge(id, 0, "back", true);
  }
  graph.seeds.push({ node: 0, kind: "kept", by: "root", from: -1 }, { node: 1, kind: "flat", by: "root", from: -1 });
  const marks = new Marks(graph);
  for (const _ of marks.run());
  expect(marks.edges).toBe(2 * count);
});

test("ten times as many things take ten times as many calls of the stores below", async () => {
  const counts: number[] = [];
  for (const factor of [1, 10]) {
    await using world = await openWorld();
    for (let number = 0; number < 60 * factor; number += 1) world.content.blobs.set(d(number), 1);
    for (let number = 0; number < 10 * factor; number += 1) world.overlay.add(`default/${number}/a`);
    let snapshotCalls = 0;
    world.overlay.hook = () => void (snapshotCalls += 1);
    await world.metadata.collect();
    const contentCalls = [...world.content.calls.values()].reduce((sum, count) => sum + count, 0);
    counts.push(contentCalls + snapshotCalls);
  }
  const [few = 0, many = 0] = counts;
  expect(many).toBeLessThanOrEqual(10 * few);
});
