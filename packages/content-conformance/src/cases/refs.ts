import assert from "node:assert/strict";
import type { Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { hasCode } from "@varve/errors";
import type { ContentStoreCase } from "../case.ts";
import { leave, list, rejects, sample, store as storeBlob } from "../material.ts";

export const refCases: readonly ContentStoreCase[] = [
  {
    name: "an empty ref is refused",
    rows: ["U-LCS.7"],
    needs: [],
    async run({ open }) {
      const store = await open();
      await rejects(store.writer(""), "ERR_INVALID_ARGUMENT");
    },
  },
  {
    name: "any text is a ref, and different texts are different refs",
    rows: ["U-LCS.1"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const refs = [
        "a/b",
        "a\0b",
        "a",
        "../a",
        "A",
        "a ",
        "\u00e9",
        "e\u0301",
        "\u{1f409}",
        "x".repeat(5000),
        "layer-sha256:0",
        ".",
      ];
      for (const [index, ref] of refs.entries()) await leave(store, ref, sample(index + 1).bytes);
      for (const [index, ref] of refs.entries()) assert.equal((await store.status(ref)).offset, index + 1, ref);
      const listed = (await list(store.statuses())).map(({ ref }) => ref);
      assert.deepEqual(listed.toSorted(), refs.toSorted());
    },
  },
  {
    name: "a ref that has a writer is unavailable to others, who are told which",
    rows: ["C-CS.12", "C-LCS.3", "C-LCS.7", "U-LCS.7"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const writer = await store.writer("layer-held");
      const error = await rejects(store.writer("layer-held"), "ERR_UNAVAILABLE");
      assert.match(error.message, /layer-held/);
      // Since when, or for how long: whoever waits wants to know whether it is worth it.
      assert.match(error.message.replace("layer-held", ""), /[0-9]/);
      await writer.write(sample(10).bytes);
      assert.equal(writer.status().offset, 10);
      await writer.close();
    },
  },
  {
    name: "a digest that is none is refused wherever it is given",
    rows: ["C-CH.21", "U-LCS.5"],
    needs: [],
    async run({ open }) {
      const store = await open();
      for (const text of ["", "sha256:", "sha256:../../ingest", `sha256:${"A".repeat(64)}`, `md5:${"0".repeat(32)}`]) {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a careless caller could do
        const digest = text as Digest;
        const calls = [
          () => store.info(digest),
          () => store.open({ ...sample(1).descriptor, digest }),
          () => store.delete(digest),
          () => store.writer("refused", { expected: { digest } }),
        ];
        for (const call of calls) {
          const error: unknown = await call().then(
            () => "success",
            (reason: unknown) => reason,
          );
          assert.ok(isRefusal(error), `${JSON.stringify(text)}: ${String(error)}`);
        }
        const writer = await store.writer("refused");
        const error: unknown = await writer.commit({ digest }).catch((reason: unknown) => reason);
        assert.ok(
          isRefusal(error) || hasCode(error, "ERR_DIGEST_MISMATCH"),
          `${JSON.stringify(text)}: ${String(error)}`,
        );
      }
      const next = await store.writer("refused");
      await next.close();
    },
  },
  {
    name: "of many who want a ref at once exactly one gets it",
    rows: ["C-LCS.7", "U-LCS.7"],
    needs: [],
    async run({ open }) {
      const store = await open();
      for (let round = 0; round < 5; round += 1) {
        const attempts = Array.from({ length: 10 }, () =>
          store.writer("wanted").catch((error: unknown) => {
            assert.ok(hasCode(error, "ERR_UNAVAILABLE"), String(error));
          }),
        );
        const writers = (await Promise.all(attempts)).filter((writer): writer is Writer => writer !== undefined);
        for (const writer of writers) await writer.close();
        assert.equal(writers.length, 1);
      }
    },
  },
  {
    name: "a closed writer frees its ref, and closing twice is allowed",
    rows: ["C-CS.12", "U-CS.4"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const first = await store.writer("freed");
      await first.close();
      const second = await store.writer("freed");
      await first.close();
      await rejects(store.writer("freed"), "ERR_UNAVAILABLE");
      await rejects(first.write(sample(1).bytes), "ERR_FAILED_PRECONDITION");
      await second.close();
    },
  },
  {
    name: "a writer for a digest that is stored is refused as existing",
    rows: ["C-CS.3", "U-LCS.7"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(300);
      await storeBlob(store, blob);
      await rejects(store.writer("new ref", { expected: blob }), "ERR_ALREADY_EXISTS");
      await rejects(store.writer("new ref", { expected: { digest: blob.digest } }), "ERR_ALREADY_EXISTS");
      assert.deepEqual(await list(store.statuses()), []);
    },
  },
  {
    name: "a ref that is held in one instance is held in all",
    rows: ["U-LCS.7", "D9"],
    needs: ["reopen"],
    async run({ open }) {
      const [one, other] = [await open(), await open()];
      const writer = await one.writer("shared");
      await writer.write(sample(10).bytes);
      await rejects(other.writer("shared"), "ERR_UNAVAILABLE");
      await writer.close();
      const next = await other.writer("shared");
      assert.equal(next.status().offset, 10);
      await rejects(one.writer("shared"), "ERR_UNAVAILABLE");
      await next.close();
    },
  },
];

function isRefusal(error: unknown): boolean {
  return hasCode(error, "ERR_INVALID_ARGUMENT") || hasCode(error, "ERR_NOT_IMPLEMENTED");
}
