import { availableParallelism, tmpdir } from "node:os";
import type { Applier } from "@varve/diff";
import { createKeyedLock, createLimiter } from "@varve/locks";
import type { Client } from "../client.ts";
import { closeAll } from "../close-all.ts";
import { commonParts, differOpener } from "../common-parts.ts";
import { Lazy } from "../lazy.ts";
import type { OpenClientOptions } from "../open-client.ts";
import { OpenedSnapshotters } from "../opened-snapshotters.ts";
import { StoreClient } from "../store-client.ts";
import { createContainerdLease } from "./containerd-leases.ts";
import { containerdNamespace } from "./containerd-namespace.ts";
import { noUpkeep } from "./no-upkeep.ts";

export interface OpenContainerdClientOptions extends Pick<OpenClientOptions, "maxConcurrentDownloads" | "registry"> {
  /** Path of its socket. Default: `/run/containerd/containerd.sock`. */
  readonly address?: string | undefined;
  /** Default: `default`, which is that of `ctr`; Kubernetes has `k8s.io`, Docker `moby`. */
  readonly namespace?: string | undefined;
  /** The name of one of its snapshotters. Default: `overlayfs`. */
  readonly snapshotter?: string | undefined;
}

/**
 * A client over a containerd that runs: what it pulls is in containerd's own stores, where everybody else who uses that containerd
 * sees it, and layers are applied by containerd itself. It is connected to when it is first needed. `mount` and comparing snapshots work where
 * this process sees the directories of containerd.
 *
 * What needs a store of varve's own is refused with ERR_NOT_IMPLEMENTED: `check`, `gc`, `layerStore`, `namespaces`, `repair`, `usage`,
 * `why`, and the option `checkSpace` of `pull`. After a failed pull containerd soon drops what was fetched, as after one of its own.
 */
export async function openContainerdClient(options: OpenContainerdClientOptions = {}): Promise<Client> {
  const { connectContainerd } = await import("@varve/containerd");
  const connection = connectContainerd({ address: options.address, namespace: options.namespace });
  const namespace = containerdNamespace(connection);
  const parts = commonParts(options);
  const places = { mounter: parts.mounter, mountDirectory: tmpdir() };
  const openDiffer = differOpener(places);
  const differ = new Lazy(() => openDiffer(connection.content));
  const defaultSnapshotter = options.snapshotter ?? "overlayfs";
  return new StoreClient({
    ...parts,
    ...places,
    root: connection.address,
    directories: undefined,
    namespace,
    upkeep: noUpkeep(connection.address),
    createLease: (signal) => createContainerdLease(connection.leases, signal),
    opened: new OpenedSnapshotters(namespace),
    applier: new Lazy<Applier>(async () => connection.differ),
    differ,
    openDiffer,
    snapshotters: { used: async () => [defaultSnapshotter] },
    defaultSnapshotter,
    // Containerd leaves the port out when it writes them and when it looks for them.
    sourceHost: (domain) => domain.replace(/:\d+$/, ""),
    // Others who unpack the same are not known: of two the second to commit finds what the first has made.
    chainLocks: new Lazy(async () => createKeyedLock()),
    unpackLimiter: createLimiter(availableParallelism()),
    durability: "full",
    parallelUnpack: true,
    followWhileFetching: true,
    warmUp: async () => undefined,
    close: () =>
      closeAll(
        [() => parts.resolver.close((one) => one.close()), () => differ.close((one) => one.close())],
        [() => connection.close()],
      ),
  });
}
