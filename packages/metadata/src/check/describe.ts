import type { Digest } from "@varve/digest";
import type { BlobFindings } from "./find-blobs.ts";
import type { DamagedSnapshot } from "./find-damaged-snapshots.ts";
import type { OrphanedSnapshot } from "./find-rest.ts";
import { contentItem, ingestItem, snapshotItem } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { ImageNeeds } from "./image-needs.ts";
import type { Records } from "./records.ts";
import type { SnapshotRow } from "../snapshots/rows.ts";
import { Users } from "./users.ts";

/** What was found, before it is put into words. */
export interface Discoveries {
  readonly records: Records;
  readonly images: readonly ImageNeeds[];
  readonly blobs: BlobFindings;
  readonly ingests: readonly string[];
  readonly missingSnapshots: readonly SnapshotRow[];
  readonly damagedSnapshots: readonly DamagedSnapshot[];
  readonly orphanedSnapshots: readonly OrphanedSnapshot[];
}

/** In the order in which a repair takes them: causes before what follows from them. */
export function describe(found: Discoveries): Finding[] {
  const users = new Users(found.images);
  return [
    ...[...found.blobs.damaged.keys()].map((digest) => damaged(digest, found, users)),
    ...[...found.blobs.missing].flatMap(([digest, namespaces]) =>
      namespaces.map((namespace) => missing(digest, namespace, users)),
    ),
    ...found.missingSnapshots.map((row) => missingSnapshot(row, users)),
    ...found.damagedSnapshots.map((snapshot) => damagedSnapshot(snapshot, users)),
    // What is damaged goes for that reason.
    ...found.blobs.orphaned.filter((digest) => !found.blobs.damaged.has(digest)).map(orphaned),
    ...found.ingests.map(orphanedIngest),
    ...found.orphanedSnapshots.map(orphanedSnapshot),
    ...found.images.filter(isIncomplete).map(incomplete),
  ];
}

/** Whether an image lacks something, and not only because of damage that is told by itself. */
export function isIncomplete({ missing: absent, unusable }: ImageNeeds): boolean {
  return absent.length > 0 || unusable !== undefined;
}

function damaged(digest: Digest, { records, blobs }: Discoveries, users: Users): Finding {
  const namespaces = [...(records.blobs.get(digest)?.keys() ?? [])];
  const { why, actual } = blobs.damaged.get(digest) ?? { why: "" };
  return {
    what: "damaged blob",
    digest,
    problem: {
      kind: "damaged",
      item: contentItem(namespaces[0] ?? "", digest),
      message: `content ${digest}: ${why}`,
      actual,
      images: users.ofBlob(namespaces, digest),
    },
  };
}

function missing(digest: Digest, namespace: string, users: Users): Finding {
  return {
    what: "missing blob",
    digest,
    namespace,
    problem: {
      kind: "missing",
      item: contentItem(namespace, digest),
      message: `content ${digest}: is recorded in namespace ${namespace}, but not stored`,
      images: users.ofBlob([namespace], digest),
    },
  };
}

function missingSnapshot(row: SnapshotRow, users: Users): Finding {
  const { namespace, snapshotter, name } = row;
  return {
    what: "missing snapshot",
    row,
    problem: {
      kind: "missing",
      item: snapshotItem(row),
      message: `snapshot ${name}: is recorded in namespace ${namespace}, but snapshotter ${snapshotter} does not have it`,
      images: users.ofSnapshot(namespace, name),
    },
  };
}

function damagedSnapshot({ row, kind, message }: DamagedSnapshot, users: Users): Finding {
  return {
    what: "damaged snapshot",
    row,
    problem: {
      kind: kind === "missing" ? "missing" : "damaged",
      item: snapshotItem(row),
      message,
      images: users.ofSnapshot(row.namespace, row.name),
    },
  };
}

function orphaned(digest: Digest): Finding {
  const message = `content ${digest}: is stored, but in no namespace`;
  return {
    what: "orphaned blob",
    digest,
    problem: { kind: "orphaned", item: contentItem("", digest), message, images: [] },
  };
}

function orphanedIngest(ref: string): Finding {
  const item = ingestItem(ref);
  const message = `ingest ${item.id}: is stored, but has no record in namespace ${item.namespace}`;
  return { what: "orphaned ingest", ref, problem: { kind: "orphaned", item, message, images: [] } };
}

function orphanedSnapshot({ snapshotter, backendKey }: OrphanedSnapshot): Finding {
  const message = `snapshot ${backendKey}: snapshotter ${snapshotter} has it, but it is in no namespace`;
  const item = { namespace: "", type: "snapshot", snapshotter, id: backendKey };
  return {
    what: "orphaned snapshot",
    snapshotter,
    backendKey,
    problem: { kind: "orphaned", item, message, images: [] },
  };
}

function incomplete(needs: ImageNeeds): Finding {
  const { namespace, image, missing: absent, unusable } = needs;
  const [first, ...others] = absent;
  const rest = others.length === 0 ? "" : ` and ${others.length} more`;
  const why = first === undefined ? (unusable ?? "") : `misses ${first}${rest}`;
  return {
    what: "incomplete image",
    needs,
    problem: {
      kind: "incomplete",
      item: { namespace, type: "image", id: image.name },
      message: `image ${image.name}: ${why}`,
      images: [image.name],
    },
  };
}
