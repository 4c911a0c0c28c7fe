import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SnapshotInfo, SnapshotKind } from "@varve/snapshots";
import { Kind } from "../gen/containerd/services/snapshots/v1/snapshots_pb.js";
import type { InfoSchema } from "../gen/containerd/services/snapshots/v1/snapshots_pb.js";
import { fromDate } from "../wire/values.ts";

type WireInfo = MessageInitShape<typeof InfoSchema>;

const kinds: Readonly<Record<SnapshotKind, Kind>> = {
  view: Kind.VIEW,
  active: Kind.ACTIVE,
  committed: Kind.COMMITTED,
};

export function fromInfo({ name, parent = "", kind, labels, createdAt, updatedAt }: SnapshotInfo): WireInfo {
  return {
    name,
    parent,
    kind: kinds[kind],
    labels: { ...labels },
    createdAt: fromDate(createdAt),
    updatedAt: fromDate(updatedAt),
  };
}

/** What makes most of the size of a message. */
export function textsOf({ name, parent = "", labels }: SnapshotInfo): readonly string[] {
  return [name, parent, ...Object.entries(labels).flat()];
}
