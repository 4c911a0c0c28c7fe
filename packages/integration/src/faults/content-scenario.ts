import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ContentStore, Writer } from "@varve/content";
import { canQuarantine } from "@varve/content";
import { openContentStore } from "@varve/content-fs";
import { testBlob } from "./bytes.ts";
import type { TestBlob } from "./bytes.ts";
import { codeOf, unless } from "./codes.ts";
import { scenarioOf } from "./scenario.ts";
import type { Fault, Scenario, Step } from "./scenario.ts";

const unlessStored = unless("ERR_ALREADY_EXISTS");
const unlessMissing = unless("ERR_NOT_FOUND");
const kept = testBlob("kept", 10_000);
const damaged = testBlob("damaged", 5000);
const layer = testBlob("layer", 300_000);
const unnamed = testBlob("unnamed", 20_000);
const long = testBlob("long", 4096, "sha512");
const empty = testBlob("empty", 0);
const begun = 3001;

interface World {
  readonly store: ContentStore;
  readonly after: Fault;
}

/** Everything that a content store does, in a store of its own. */
export const contentScenario: Scenario = scenarioOf<World>({
  async seed(root) {
    const store = await openContentStore({ root });
    await put(store, "kept", kept);
    const writer = await store.writer("half of it");
    await writer.write(kept.bytes.subarray(0, 100));
    await writer.close();
    await store.close();
  },
  open: async (root, after) => ({ store: await openContentStore({ root }), after }),
  close: ({ store }) => store.close(),
  sound: async ({ store }) => {
    await mustBeWhole(store);
    await mustHave(store, kept);
    assert.equal((await store.status("half of it")).offset, 100);
  },
  settle: async () => undefined,
  steps: [
    {
      name: "begin",
      volatile: true,
      async run({ store }) {
        const writer = await writerUnlessStored(store, "layer", layer);
        if (writer === undefined) return;
        if (writer.status().offset === 0) {
          await writer.write(layer.bytes.subarray(0, 1));
          await writer.write(layer.bytes.subarray(1, begun));
        }
        await writer.close();
      },
      async check({ store }) {
        assert.ok((await store.status("layer")).offset >= begun, "acknowledged bytes are missing");
      },
    },
    {
      name: "resume and commit",
      undoes: "begin",
      run: ({ store, after }) => put(store, "layer", layer, after),
      check: ({ store }) => mustHave(store, layer),
    },
    {
      name: "truncate and commit",
      async run({ store }) {
        const writer = await store.writer("unnamed");
        await writer.write(layer.bytes.subarray(0, 200));
        await writer.truncate();
        await writer.write(unnamed.bytes);
        await writer.commit().catch(unlessStored);
      },
      check: ({ store }) => mustHave(store, unnamed),
    },
    {
      name: "commit what is there",
      async run({ store }) {
        const writer = await store.writer("once more");
        await writer.truncate();
        await writer.write(layer.bytes);
        const digest = await writer.commit(layer.expected).catch(unlessStored);
        assert.equal(digest, undefined, "a blob was stored twice");
      },
      check: ({ store }) => mustHave(store, layer),
    },
    {
      name: "abort",
      volatile: true,
      async run({ store }) {
        const writer = await store.writer("given up");
        await writer.write(layer.bytes.subarray(0, 1000));
        await writer.close();
        await store.abort("given up");
      },
      check: ({ store }) => assert.rejects(store.status("given up"), { code: "ERR_NOT_FOUND" }),
    },
    storing("sha512", long),
    storing("empty", empty),
    {
      name: "delete",
      volatile: true,
      undoes: "truncate and commit",
      async run({ store }) {
        await store.delete(unnamed.expected.digest).catch(unlessMissing);
      },
      check: ({ store }) => assert.rejects(store.info(unnamed.expected.digest), { code: "ERR_NOT_FOUND" }),
    },
    storing("to be taken away", damaged),
    {
      name: "quarantine and discard",
      volatile: true,
      undoes: "to be taken away",
      async run({ store }) {
        if (!canQuarantine(store)) return;
        await store.quarantine(damaged.expected.digest).catch(unlessMissing);
        for await (const { id } of store.quarantined()) await store.discard(id);
      },
      async check({ store }) {
        if (!canQuarantine(store)) return;
        await assert.rejects(store.info(damaged.expected.digest), { code: "ERR_NOT_FOUND" });
        for await (const { id } of store.quarantined()) assert.fail(`${id} is still there`);
      },
    },
  ],
});

function storing(name: string, blob: TestBlob): Step<World> {
  return {
    name,
    run: ({ store, after }) => put(store, name, blob, after),
    check: ({ store }) => mustHave(store, blob),
  };
}

/**
 * Goes on where an earlier writer stopped. What that one left must be the beginning of the blob; only a power cut may have
 * made something else of it, which is found by the digest.
 */
export async function put(store: ContentStore, ref: string, blob: TestBlob, after: Fault = "none"): Promise<void> {
  const writer = await writerUnlessStored(store, ref, blob);
  if (writer === undefined) return;
  try {
    for (let { offset } = writer.status(); offset < blob.bytes.byteLength; offset += 100_000) {
      await writer.write(blob.bytes.subarray(offset, offset + 100_000));
    }
    await writer.commit();
  } catch (error) {
    if (after !== "power" || codeOf(error) !== "ERR_DIGEST_MISMATCH") throw error;
    await store.abort(ref);
    await put(store, ref, blob);
  } finally {
    await writer.close();
  }
}

async function writerUnlessStored(
  store: ContentStore,
  ref: string,
  { expected }: TestBlob,
): Promise<Writer | undefined> {
  try {
    return await store.writer(ref, { expected });
  } catch (error) {
    unlessStored(error);
    return undefined;
  }
}

/** The blob is there, with exactly its bytes. */
export async function mustHave(store: ContentStore, { expected }: TestBlob): Promise<void> {
  assert.equal((await store.info(expected.digest)).size, expected.size);
  await mustHash(store, expected.digest);
}

/** Visible means whole: every blob has the bytes that its name says. */
export async function mustBeWhole(store: ContentStore): Promise<void> {
  for await (const { digest } of store.walk()) await mustHash(store, digest);
}

async function mustHash(store: ContentStore, digest: TestBlob["expected"]["digest"]): Promise<void> {
  const [algorithm = ""] = digest.split(":");
  const hash = createHash(algorithm);
  const reader = await store.open({ mediaType: "application/octet-stream", digest, size: 0 });
  try {
    for await (const chunk of reader.stream()) hash.update(chunk);
  } finally {
    await reader.close();
  }
  assert.equal(`${algorithm}:${hash.digest("hex")}`, digest);
}
