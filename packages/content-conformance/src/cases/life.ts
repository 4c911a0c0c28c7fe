import type { ContentStoreCase } from "../case.ts";
import { assertStored, list, rejects, sample, store as storeBlob } from "../material.ts";

export const lifeCases: readonly ContentStoreCase[] = [
  {
    name: "a closed store does nothing more, and closing twice is allowed",
    rows: ["C-MD.13"],
    needs: [],
    async run({ open }) {
      const store = await open();
      const blob = sample(100);
      await storeBlob(store, blob);
      const writer = await store.writer("open");
      await store.close();
      await store.close();
      await rejects(writer.write(blob.bytes), "ERR_FAILED_PRECONDITION");
      await rejects(store.writer("new"), "ERR_FAILED_PRECONDITION");
      await rejects(store.open(blob.descriptor), "ERR_FAILED_PRECONDITION");
      await rejects(store.info(blob.digest), "ERR_FAILED_PRECONDITION");
      await rejects(list(store.statuses()), "ERR_FAILED_PRECONDITION");
    },
  },
  {
    name: "blobs are there when the store is opened again",
    rows: ["G-10"],
    needs: ["reopen"],
    async run({ open }) {
      const blob = sample(100_000);
      const one = await open();
      await storeBlob(one, blob);
      await one.close();
      await assertStored(await open(), blob);
    },
  },
];
