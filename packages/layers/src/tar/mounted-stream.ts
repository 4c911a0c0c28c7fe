import type { Mount } from "@varve/mount";
import { withShownTree } from "./shown-tree.ts";
import type { StoreParts } from "../store-parts.ts";

/** A stream from what mounts show, which are taken off when it ends or is left. */
export async function* mountedStream<T>(
  parts: Pick<StoreParts, "mountDirectory" | "mounter">,
  mounts: readonly Mount[],
  read: (root: string) => AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  const mounted = Promise.withResolvers<string>();
  const over = Promise.withResolvers<void>();
  const show = async (root: string): Promise<void> => {
    mounted.resolve(root);
    await over.promise;
  };
  const showing = withShownTree(parts, mounts, show, signal);
  showing.catch(mounted.reject);
  let isWhole = false;
  try {
    yield* read(await mounted.promise);
    isWhole = true;
  } finally {
    over.resolve();
    // Where the stream has failed, or was left, that goes before what the clean-up says.
    await (isWhole ? showing : showing.catch(() => undefined));
  }
}
