import type { ContentStore } from "@varve/content";
import type { ContentStoreCase, OpenOptions } from "./case.ts";

/**
 * Opens a store at a place: a name that is unique to one case, and safe as a file name. A place that is new is empty; one
 * that was opened before is asked for only by cases that need `reopen`.
 */
export type OpenContentStore = (place: string, options: OpenOptions) => ContentStore | Promise<ContentStore>;

/** Runs one case, and closes the stores that it opened. */
export async function runContentStoreCase(testCase: ContentStoreCase, open: OpenContentStore): Promise<void> {
  const place = testCase.name.replaceAll(/[^a-zA-Z0-9]+/g, "-").slice(0, 100);
  const opened: ContentStore[] = [];
  try {
    await testCase.run({
      open: async (options = {}) => {
        const store = await open(place, options);
        opened.push(store);
        return store;
      },
    });
  } finally {
    for (const store of opened) await store.close();
  }
}
