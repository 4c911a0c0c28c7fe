import type { Mount } from "@varve/mount";
import { newActiveKey } from "../active-key.ts";
import { removeSnapshot } from "../remove-snapshot.ts";
import type { StoreParts } from "../store-parts.ts";

/** A stream from a view of a committed snapshot, which is gone when it ends or is left. */
export async function* viewedStream<T>(
  parts: StoreParts,
  name: string,
  read: (mounts: readonly Mount[]) => AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  const { holder, snapshotter } = parts;
  const key = newActiveKey();
  await holder?.hold(key, { signal });
  try {
    yield* read(await snapshotter.view(key, name, { signal }));
  } finally {
    // What cannot be removed now is removed by a cleanup.
    await removeSnapshot(parts, key, {}).catch(() => undefined);
    await holder?.release(key).catch(() => undefined);
  }
}
