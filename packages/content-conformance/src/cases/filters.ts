import assert from "node:assert/strict";
import type { BlobInfo, IngestStatus } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { ContentStoreCase } from "../case.ts";
import { labelable, leave, list, rejects, sample, sampleOf, store as storeBlob } from "../material.ts";

export const filterCases: readonly ContentStoreCase[] = [
  {
    name: "a walk shows what one of its filters lets through, by digest and size",
    rows: ["C-CH.29", "U-LCS.5"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const [one, two] = [sample(1), sample(2)];
      const other = sampleOf(one.bytes, digestOf(one.bytes, "sha512"));
      for (const blob of [one, two, other]) await storeBlob(store, blob);
      const all = [one.digest, two.digest, other.digest];
      const shown: [readonly string[], readonly string[]][] = [
        [[], all],
        [[""], all],
        [[`digest==${one.digest}`], [one.digest]],
        [["digest~=^sha512:"], [other.digest]],
        [["size==2"], [two.digest]],
        [["size!=2"], [one.digest, other.digest]],
        [["size==1,digest~=^sha256:"], [one.digest]],
        [
          ["size==2", `digest==${one.digest}`],
          [one.digest, two.digest],
        ],
        [["size==3"], []],
        [["colour"], []],
        [["labels.colour"], []],
      ];
      for (const [filters, expected] of shown) {
        assert.deepEqual(digests(await list(store.walk({ filters }))), expected.toSorted(), JSON.stringify(filters));
      }
    },
  },
  {
    name: "a walk can be filtered by labels",
    rows: ["C-CH.29", "U-LCS.5"],
    needs: ["labels"],
    async run({ open }) {
      const store = labelable(await open());
      const [red, blue, plain] = [sample(1), sample(2), sample(3)];
      for (const blob of [red, blue, plain]) await storeBlob(store, blob);
      await store.label(red.digest, { colour: "red", "example.com/a b": "1" });
      await store.label(blue.digest, { colour: "blue" });
      const shown: [string, readonly string[]][] = [
        ["labels.colour", [red.digest, blue.digest]],
        ["labels.colour==red", [red.digest]],
        ["labels.colour!=red", [blue.digest, plain.digest]],
        ["labels.colour~=^b", [blue.digest]],
        ['labels."example.com/a b"==1', [red.digest]],
        ["labels.colour,size==2", [blue.digest]],
      ];
      for (const [filter, expected] of shown) {
        assert.deepEqual(digests(await list(store.walk({ filters: [filter] }))), expected.toSorted(), filter);
      }
    },
  },
  {
    name: "ingests can be filtered by their ref",
    rows: ["U-LCS.15"],
    needs: [],
    async run({ open }) {
      const store = await open();
      for (const ref of ["layer-1", "layer-2", "config/1"]) await leave(store, ref, sample(10).bytes);
      const writer = await store.writer("layer-3");
      const shown: [readonly string[], readonly string[]][] = [
        [[], ["config/1", "layer-1", "layer-2", "layer-3"]],
        [["ref==layer-1"], ["layer-1"]],
        [["ref~=^layer-"], ["layer-1", "layer-2", "layer-3"]],
        [
          ["ref==layer-2", 'ref=="config/1"'],
          ["config/1", "layer-2"],
        ],
        [["ref==layer"], []],
        [["offset"], []],
      ];
      for (const [filters, expected] of shown) {
        assert.deepEqual(refs(await list(store.statuses({ filters }))), expected, JSON.stringify(filters));
      }
      await writer.close();
    },
  },
  {
    name: "a filter that cannot be read is refused before the first element",
    rows: ["U-SUP.1"],
    needs: [],
    async run({ open }) {
      const store = await open();
      await storeBlob(store, sample(10));
      await leave(store, "left", sample(10).bytes);
      for (const filters of [["size=10"], ["size==10", "labels."], ["digest~=("]]) {
        await rejects(store.walk({ filters })[Symbol.asyncIterator]().next(), "ERR_INVALID_ARGUMENT");
        await rejects(store.statuses({ filters })[Symbol.asyncIterator]().next(), "ERR_INVALID_ARGUMENT");
      }
    },
  },
];

function digests(infos: readonly BlobInfo[]): string[] {
  return infos.map(({ digest }) => digest).toSorted();
}

function refs(statuses: readonly IngestStatus[]): string[] {
  return statuses.map(({ ref }) => ref).toSorted();
}
