import type { Containerd } from "@varve/containerd";
import type { Namespace } from "@varve/metadata";

/** A namespace of a containerd, as a client takes one. */
export function containerdNamespace(connection: Containerd): Namespace {
  const { content, images, leases, namespace: name } = connection;
  return {
    name,
    content,
    images,
    leases,
    snapshotter: async (snapshotter) => connection.snapshotter(snapshotter),
    under: (lease) => containerdNamespace(connection.withLease(lease)),
  };
}
