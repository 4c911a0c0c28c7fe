import type { ServiceImpl } from "@connectrpc/connect";
import { CodedError } from "@varve/errors";
import { canCleanup } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import type { Snapshots } from "../gen/containerd/services/snapshots/v1/snapshots_pb.js";
import { inBatches } from "../wire/batches.ts";
import { labelUpdate } from "../wire/label-mask.ts";
import { fromMount } from "../wire/values.ts";
import { commitSnapshot } from "./commit-snapshot.ts";
import { prepareSnapshot, viewSnapshot } from "./new-snapshot.ts";
import { fromInfo, textsOf } from "./snapshot-info.ts";

export interface ServeSnapshotsOptions {
  /** Whether a layer that is there is not made again. */
  readonly share: boolean;
}

/** https://github.com/containerd/containerd/blob/main/api/services/snapshots/v1/snapshots.proto, for snapshotters by name. */
export function serveSnapshots(
  snapshotters: Readonly<Record<string, Snapshotter>>,
  { share }: ServeSnapshotsOptions,
): ServiceImpl<typeof Snapshots> {
  const byName = new Map(Object.entries(snapshotters));
  const meant = ({ snapshotter: name }: { readonly snapshotter: string }): Snapshotter => {
    const snapshotter = byName.get(name);
    if (snapshotter !== undefined) return snapshotter;
    const names = [...byName.keys()].toSorted().join(", ");
    throw new CodedError("ERR_INVALID_ARGUMENT", `snapshotter ${name}: is not served here, only ${names}`);
  };
  return {
    async prepare(request, { signal }) {
      const mounts = await prepareSnapshot(meant(request), request, { signal, share });
      return { mounts: mounts.map(fromMount) };
    },
    async view(request, { signal }) {
      const mounts = await viewSnapshot(meant(request), request, signal);
      return { mounts: mounts.map(fromMount) };
    },
    async mounts(request, { signal }) {
      const mounts = await meant(request).mounts(request.key, { signal });
      return { mounts: mounts.map(fromMount) };
    },
    async commit(request, { signal }) {
      await commitSnapshot(meant(request), request, signal);
      return {};
    },
    async remove(request, { signal }) {
      await meant(request).remove(request.key, { signal });
      return {};
    },
    async stat(request, { signal }) {
      return { info: fromInfo(await meant(request).stat(request.key, { signal })) };
    },
    async update(request, { signal }) {
      const { info, updateMask } = request;
      const snapshotter = meant(request);
      if (info === undefined) throw new CodedError("ERR_INVALID_ARGUMENT", "snapshot: there is none in the update");
      const { changes, replace } = labelUpdate(updateMask?.paths ?? [], info.labels, `snapshot ${info.name}`);
      return { info: fromInfo(await snapshotter.update(info.name, changes, { replace, signal })) };
    },
    async *list(request, { signal }) {
      const filters = request.filters.length === 0 ? undefined : request.filters;
      for await (const infos of inBatches(meant(request).walk({ filters, signal }), textsOf)) {
        yield { info: infos.map(fromInfo) };
      }
    },
    async usage(request, { signal }) {
      const { bytes, inodes } = await meant(request).usage(request.key, { signal });
      return { size: BigInt(bytes), inodes: BigInt(inodes) };
    },
    async cleanup(request, { signal }) {
      const snapshotter = meant(request);
      if (!canCleanup(snapshotter)) {
        throw new CodedError("ERR_NOT_IMPLEMENTED", `snapshotter ${request.snapshotter}: has no cleanup`);
      }
      await snapshotter.cleanup({ signal });
      return {};
    },
  };
}
