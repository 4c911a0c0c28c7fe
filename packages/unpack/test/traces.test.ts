import { tracingChannel } from "node:diagnostics_channel";
import { applyLayers } from "@varve/unpack";
import type { UnpackTrace } from "@varve/unpack";
import { expect, test } from "vitest";
import { layerOf, textImage } from "./fakes.ts";
import { Harness } from "./harness.ts";

const phases = ["handle", "fetch", "layer", "prepare", "apply", "commit"] as const;

/** What the channels tell while `work` runs, as `start apply`, and after a failure `error apply`. */
async function tracesOf(work: () => Promise<unknown>): Promise<{ told: string[]; traces: UnpackTrace[] }> {
  const told: string[] = [];
  const traces: UnpackTrace[] = [];
  const stops = phases.map((phase) => {
    const channel = tracingChannel<unknown, UnpackTrace>(`varve:unpack:${phase}`);
    const handlers = {
      start: (trace: UnpackTrace) => {
        told.push(`start ${trace.phase}`);
        traces.push(trace);
      },
      end: () => undefined,
      asyncStart: (trace: UnpackTrace) => void told.push(`end ${trace.phase}`),
      asyncEnd: () => undefined,
      error: (trace: UnpackTrace) => void told.push(`error ${trace.phase}`),
    };
    channel.subscribe(handlers);
    return () => channel.unsubscribe(handlers);
  });
  try {
    await work();
  } finally {
    for (const stop of stops) stop();
  }
  return { told, traces };
}

test("a pull tells who listens when each phase of each layer begins and ends", async () => {
  // U-UNP.20
  const harness = new Harness();
  const image = harness.add(textImage(harness.content, ["+a=1"]));
  const { told, traces } = await tracesOf(() => harness.pull([image]));
  const { blob, diff } = layerOf(image, 0);
  const handled = traces.flatMap((trace) => (trace.phase === "handle" ? [trace.descriptor.digest] : []));
  expect(handled).toEqual([image.manifest.digest, image.config.digest]);
  const ofLayer = ["fetch", "layer", "prepare", "apply", "commit"];
  expect(told.filter((line) => !line.endsWith("handle")).toSorted()).toEqual(
    ofLayer.flatMap((phase) => [`start ${phase}`, `end ${phase}`]).toSorted(),
  );
  expect(traces.find((trace) => trace.phase === "apply")).toMatchObject({
    descriptor: { digest: blob.digest },
    diffId: diff.digest,
    chainId: image.chain[0],
  });
});

test("a phase that fails is told with its error", async () => {
  const harness = new Harness();
  const image = harness.add(textImage(harness.content, ["+a=1"]));
  const error = new Error("disk on fire");
  harness.applier.hook = () => {
    throw error;
  };
  const { told, traces } = await tracesOf(async () => {
    await expect(harness.pull([image])).rejects.toThrow(layerOf(image, 0).blob.digest);
  });
  expect(told).toContain("error apply");
  expect(told).toContain("error layer");
  expect(told).not.toContain("start commit");
  expect(traces.find((trace) => trace.phase === "apply")).toMatchObject({ error });
});

test("layers that are applied one after another are told in the order of their steps", async () => {
  const harness = new Harness();
  const { layers } = textImage(harness.content, ["+a=1", "+b=2"]);
  for (const layer of layers) harness.content.put(layer.bytes);
  const { told } = await tracesOf(() =>
    applyLayers(layers, { snapshotter: harness.snapshotter, applier: harness.applier }),
  );
  const steps = ["prepare", "apply", "commit"].flatMap((phase) => [`start ${phase}`, `end ${phase}`]);
  const one = ["start layer", ...steps, "end layer"];
  expect(told).toEqual([...one, ...one]);
});
