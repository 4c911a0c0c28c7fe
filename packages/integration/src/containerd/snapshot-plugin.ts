import { join } from "node:path";
import { serveContainerd } from "@varve/containerd";
import type { CallFailure } from "@varve/containerd";
import type { Checker, Cleaner, Snapshotter } from "@varve/snapshots";
import { openNativeSnapshotter } from "@varve/snapshots-native";
import { openOverlaySnapshotter } from "@varve/snapshots-overlay";

/** By the names that containerd calls them by. */
export const ourSnapshotters = ["varve-overlay", "varve-native"] as const;
export type OurSnapshotter = (typeof ourSnapshotters)[number];

/** Our snapshotters on a socket. */
export interface SnapshotPlugin extends AsyncDisposable {
  readonly address: string;
  readonly snapshotters: Readonly<Record<OurSnapshotter, Snapshotter & Cleaner & Checker>>;
  /** Calls that failed by our fault. */
  readonly failures: readonly CallFailure[];
  close(): Promise<void>;
}

/** Where a plugin in this directory keeps what each of them has, and listens. */
export function placesIn(directory: string): Readonly<Record<OurSnapshotter | "address", string>> {
  return {
    "varve-overlay": join(directory, "overlay"),
    "varve-native": join(directory, "native"),
    address: join(directory, "plugin.sock"),
  };
}

/** Serves both from one directory, from this process. */
export async function servePlugin(directory: string): Promise<SnapshotPlugin> {
  const places = placesIn(directory);
  const snapshotters = {
    "varve-overlay": await openOverlaySnapshotter({ root: places["varve-overlay"] }),
    "varve-native": await openNativeSnapshotter({ root: places["varve-native"] }),
  };
  const failures: CallFailure[] = [];
  const { address } = places;
  const server = await serveContainerd({ address, snapshotters, onError: (failure) => failures.push(failure) });
  const close = async (): Promise<void> => {
    await server.close();
    for (const snapshotter of Object.values(snapshotters)) await snapshotter.close();
  };
  return { address, snapshotters, failures, close, [Symbol.asyncDispose]: close };
}
