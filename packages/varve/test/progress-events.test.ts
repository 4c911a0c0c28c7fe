import { setImmediate } from "node:timers/promises";
import { putImage } from "@varve-tools/test-registry";
import type { TestRegistry } from "@varve-tools/test-registry";
import { openClient } from "@varve/client";
import type { Client } from "@varve/client";
import type { ContentStore } from "@varve/content";
import { createMemoryContentStore } from "@varve/content-memory";
import { createSummary, observe } from "@varve/images";
import type { ProgressEvent, TransferSummary } from "@varve/images";
import { createMemoryTagStore, createRegistryServer } from "@varve/registry-server";
import { expect, test } from "vitest";
import { tempDirectory } from "./temp.ts";
import { withOpen } from "./with-open.ts";

/** Numbers from 0 to 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** Layers of random sizes, of which some come twice. */
function randomLayers(random: () => number): Record<string, string>[] {
  const kinds = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, index) => {
    const text = Array.from({ length: Math.floor(random() * 40_000) }, () => random().toString(36)).join("");
    return { [`file-${index}`]: text };
  });
  return Array.from({ length: 1 + Math.floor(random() * 6) }, () => kinds[Math.floor(random() * kinds.length)] ?? {});
}

/** Sends blobs in pieces with pauses, and some of them wrong for the first time. */
function unsteady(content: ContentStore, random: () => number): ContentStore {
  const spoilt = new Set<string>();
  const open: ContentStore["open"] = async (descriptor, options) => {
    const reader = await content.open(descriptor, options);
    const spoils = descriptor.size > 1000 && random() < 0.3 && !spoilt.has(descriptor.digest);
    if (spoils) spoilt.add(descriptor.digest);
    return {
      size: reader.size,
      read: (...args) => reader.read(...args),
      async *stream(range) {
        for await (const chunk of reader.stream(range)) {
          const size = 1 + Math.floor(random() * 20_000);
          for (let at = 0; at < chunk.length; at += size) {
            for (let pause = random() * 4; pause > 1; pause -= 1) await setImmediate();
            const piece = Uint8Array.from(chunk.subarray(at, at + size));
            if (spoils) piece.reverse();
            yield piece;
          }
        }
      },
      close: () => reader.close(),
      [Symbol.asyncDispose]: () => reader.close(),
    };
  };
  return withOpen(content, open);
}

async function startUnsteadyRegistry(
  random: () => number,
): Promise<AsyncDisposable & Pick<TestRegistry, "content" | "tags" | "host">> {
  const content = createMemoryContentStore();
  const tags = createMemoryTagStore();
  const server = createRegistryServer({ content: unsteady(content, random), tags });
  const { port } = await server.listen();
  return {
    content,
    tags,
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await content.close();
    },
  };
}

/** The events of each blob and of each layer. */
function byObject(events: readonly ProgressEvent[]): Map<string, ProgressEvent[]> {
  const objects = new Map<string, ProgressEvent[]>();
  for (const event of events) {
    if (!("descriptor" in event)) continue;
    const chainId = "chainId" in event ? event.chainId : undefined;
    const key = `${chainId ?? "blob"} ${event.descriptor.digest}`;
    objects.set(key, [...(objects.get(key) ?? []), event]);
  }
  return objects;
}

/** What the contract of `ProgressEvent` promises of the events of one object. */
function expectTrue(events: readonly ProgressEvent[]): void {
  expect(events.at(-1)?.type).toMatch(/^(?:fetched|exists|committed)$/);
  let known = 0;
  for (const event of events) {
    if (event.type === "retry") known = 0;
    if (!("bytes" in event)) continue;
    expect(event.bytes).toBeGreaterThanOrEqual(known);
    expect(event.bytes).toBeLessThanOrEqual(event.descriptor.size);
    known = event.bytes;
  }
  const types = events.map(({ type }) => type);
  // Extract, verify, commit; download, verify.
  if (types.at(-1) === "committed") expect(types.at(-2)).toBe("applied");
  if (types.at(-1) === "fetched") expect(types).toContain("fetching");
}

/** Pulls once more or less slowly read, and checks what it told. */
async function pullAndCheck(client: Client, name: string, pause: () => number): Promise<TransferSummary> {
  const summary = createSummary();
  const told: ProgressEvent[] = [];
  const pulling = observe((options) =>
    client.pull(name, {
      ...options,
      onProgress: (event) => {
        told.push(event);
        summary.onProgress(event);
        options.onProgress(event);
      },
    }),
  );
  const seen: ProgressEvent[] = [];
  for await (const event of pulling) {
    seen.push(event);
    for (let turns = pause() * 3; turns > 1; turns -= 1) await setImmediate();
  }
  const { layers } = await pulling.result;
  for (const stream of [told, seen]) {
    const objects = byObject(stream);
    for (const events of objects.values()) expectTrue(events);
    const ended = layers.map(({ chainId, digest }) => objects.get(`${chainId} ${digest}`)?.at(-1)?.type);
    expect(ended).toEqual(layers.map(({ status }) => (status === "unpacked" ? "committed" : "exists")));
    expect(stream.slice(0, 1).map(({ type }) => type)).toEqual(["resolved"]);
  }
  return summary.summarize();
}

// G-70, G-71
test.each([11, 12, 13, 14, 15, 16])(
  "whatever the timing, every blob and layer ends with its final event, for whoever reads how slowly (%i)",
  async (seed) => {
    const random = randomFrom(seed);
    await using registry = await startUnsteadyRegistry(random);
    await using root = await tempDirectory();
    const made = randomLayers(random);
    const image = await putImage(registry.content, made);
    await registry.tags.put("app", "latest", image);
    const client = await openClient({ root: root.path, snapshotter: "native" });
    try {
      const name = `${registry.host}/app`;
      // The second of two at once waits for the first, or finds what it made.
      const first = await Promise.all([pullAndCheck(client, name, random), pullAndCheck(client, name, random)]);
      const third = await pullAndCheck(client, name, random);
      for (const { criticalPath, durationMs } of [...first, third]) {
        expect(criticalPath.reduce((sum, { ms }) => sum + ms, 0)).toBe(durationMs);
      }
      // D10: what both need comes once.
      const blobs = new Set(made.map((layer) => JSON.stringify(layer)));
      expect(first.reduce((sum, { fetched }) => sum + fetched.blobs, 0)).toBe(blobs.size + 2);
      expect(third).toMatchObject({ fetched: { blobs: 0, bytes: 0 }, unpacked: { layers: 0 } });
    } finally {
      await client.close();
    }
  },
);
