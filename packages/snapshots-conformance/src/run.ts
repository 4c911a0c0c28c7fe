import { CodedError } from "@varve/errors";
import { withTemporaryMount } from "@varve/mount";
import type { Mounter } from "@varve/mount";
import type { Snapshotter } from "@varve/snapshots";
import type { ExtendedAttributes, KnownLayers, SnapshotterCase } from "./case.ts";

/**
 * Opens a snapshotter at a place: a name that is unique to one case, and safe as a file name. A place that is new is empty;
 * one that was opened before is asked for only by cases that need `reopen`.
 */
export type OpenSnapshotter = (place: string) => Snapshotter | Promise<Snapshotter>;

export interface RunOptions {
  readonly open: OpenSnapshotter;
  /** For the cases that need `mount`. */
  readonly mounter?: Mounter | undefined;
  /** Of a `LayerPreparer`: what every snapshotter that `open` gives has without being given it. */
  readonly layers?: KnownLayers | undefined;
  /** For the cases that need `xattrs`; the filesystem has to have them. */
  readonly xattrs?: ExtendedAttributes | undefined;
}

const noAttributes: ExtendedAttributes = { set: lacksAttributes, get: lacksAttributes };

function lacksAttributes(): never {
  throw new CodedError("ERR_FAILED_PRECONDITION", "conformance case: needs xattrs");
}

/** Runs one case, and closes the snapshotters that it opened. */
export async function runSnapshotterCase(testCase: SnapshotterCase, options: RunOptions): Promise<void> {
  const { open, mounter, layers = {}, xattrs = noAttributes } = options;
  const place = testCase.name.replaceAll(/[^a-zA-Z0-9]+/g, "-").slice(0, 100);
  const opened: Snapshotter[] = [];
  try {
    await testCase.run({
      open: async () => {
        const snapshotter = await open(place);
        opened.push(snapshotter);
        return snapshotter;
      },
      mounted: async (mounts, body) => {
        if (mounter === undefined) throw new CodedError("ERR_FAILED_PRECONDITION", "conformance case: needs a mounter");
        return withTemporaryMount(mounter, mounts, body);
      },
      layers,
      xattrs,
    });
  } finally {
    for (const snapshotter of opened) await snapshotter.close();
  }
}
