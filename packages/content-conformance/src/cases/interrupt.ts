import assert from "node:assert/strict";
import { writeBlob } from "@varve/content";
import { digestOf } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { ContentStoreCase } from "../case.ts";
import { assertMissing, assertStored, largeSample, list, rejects, sampleOf } from "../material.ts";

/** What comes in between: at once, and after a few turns of the event loop. */
const delays = [0, 1, 3, 10];

export const interruptCases: readonly ContentStoreCase[] = [
  {
    name: "an abort while a commit runs leaves either the blob or nothing",
    rows: ["U-LCS.14", "U-CS.4"],
    needs: [],
    async run({ open }) {
      const store = await open();
      for (const turns of delays) {
        // Another algorithm than the running one, so that the commit has something to do.
        const { bytes } = largeSample(4_000_000, turns);
        const blob = sampleOf(bytes, digestOf(bytes, "sha512"));
        const ref = `contested-${turns}`;
        const writer = await store.writer(ref);
        await writer.write(bytes);
        const commit = writer.commit(blob).then(
          () => "committed",
          (error: unknown) => (hasCode(error, "ERR_ABORTED") ? "aborted" : error),
        );
        await pass(turns);
        await store.abort(ref).catch((error: unknown) => assert.ok(hasCode(error, "ERR_NOT_FOUND"), String(error)));
        const outcome = await commit;
        assert.ok(outcome === "committed" || outcome === "aborted", String(outcome));
        if (outcome === "committed") await assertStored(store, blob);
        else await assertMissing(store, blob);
        await rejects(store.status(ref), "ERR_NOT_FOUND");
        assert.deepEqual(await list(store.statuses()), []);
        const next = await store.writer(ref);
        assert.equal(next.status().offset, 0);
        await next.close();
        await store.abort(ref);
      }
    },
  },
  {
    name: "a signal while a commit runs leaves the blob or what it takes to finish",
    rows: ["C05", "D13"],
    needs: [],
    async run({ open }) {
      const store = await open();
      for (const turns of delays) {
        const { bytes } = largeSample(4_000_000, turns);
        const blob = sampleOf(bytes, digestOf(bytes, "sha512"));
        const controller = new AbortController();
        const reason = new Error("enough");
        const writer = await store.writer(`stopped-${turns}`);
        await writer.write(bytes);
        const commit = writer.commit(blob, { signal: controller.signal }).then(
          () => "committed",
          (error: unknown) => (error === reason ? "stopped" : error),
        );
        await pass(turns);
        controller.abort(reason);
        const outcome = await commit;
        assert.ok(outcome === "committed" || outcome === "stopped", String(outcome));
        if (outcome === "stopped") await writeBlob(store, `stopped-${turns}`, bytes, { expected: blob });
        await assertStored(store, blob);
        assert.deepEqual(await list(store.statuses()), []);
      }
    },
  },
];

async function pass(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
}
