import type { BlobInfo } from "@varve/content";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Row, Session } from "../database.ts";
import { changeLabels, labelsOf } from "../labels.ts";
import { dropFromLeases } from "../lease-rows.ts";
import type { Labels } from "../labels.ts";
import { textOf } from "../pages.ts";

/** What a namespace knows of a blob. */
export function findBlob(session: Session, namespace: string, digest: Digest): BlobInfo | undefined {
  const row = session.get("SELECT * FROM blobs WHERE namespace = ? AND digest = ?", namespace, digest);
  return row && blobOf(row);
}

/** @throws ERR_DATA_LOSS what is stored is no blob */
export function blobOf(row: Row): BlobInfo {
  const digest = textOf(row, "digest");
  if (!isDigest(digest)) throw new CodedError("ERR_DATA_LOSS", `content ${digest}: a damaged record`);
  return {
    digest,
    size: Number(row["size"]),
    createdAt: new Date(Number(row["created_at"])),
    updatedAt: new Date(Number(row["updated_at"])),
    labels: labelsOf(row),
  };
}

/** Within a write: the namespace knows the blob, with these labels besides those it has. Says whether it is new to it. */
export function saveBlob(
  session: Session,
  namespace: string,
  blob: { readonly digest: Digest; readonly size: number; readonly labels: Labels },
): boolean {
  const { digest, size, labels } = blob;
  const old = findBlob(session, namespace, digest);
  const now = Date.now();
  if (old === undefined) {
    session.run(
      "INSERT INTO blobs (namespace, digest, size, labels, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
      namespace,
      digest,
      size,
      JSON.stringify(labels),
      now,
      now,
    );
  } else if (Object.keys(labels).length > 0 || old.size !== size) {
    session.run(
      "UPDATE blobs SET size = ?, labels = ?, updated_at = ? WHERE namespace = ? AND digest = ?",
      size,
      JSON.stringify(changeLabels(old.labels, labels)),
      now,
      namespace,
      digest,
    );
  }
  return old === undefined;
}

/** Within a write: the namespace knows the blob no more, and no lease of it does. Says whether it knew it. */
export function forgetBlob(session: Session, namespace: string, digest: Digest): boolean {
  const known = session.run("DELETE FROM blobs WHERE namespace = ? AND digest = ?", namespace, digest) > 0;
  dropFromLeases(session, namespace, { type: "content", id: digest });
  return known;
}

/** The size of a blob that another namespace has and, if they are `isolated`, shares (U-MD.3, U-MD.4). */
export function sharedSize(
  session: Session,
  namespace: string,
  digest: Digest,
  sharing: "shared" | "isolated",
): number | undefined {
  const row =
    sharing === "shared"
      ? session.get("SELECT size FROM blobs WHERE digest = ? AND namespace <> ? LIMIT 1", digest, namespace)
      : session.get(
          `SELECT size FROM blobs JOIN namespaces ON namespaces.name = blobs.namespace
           WHERE digest = ? AND namespace <> ?
           AND json_extract(namespaces.labels, '$."containerd.io/namespace.shareable"') = 'true' LIMIT 1`,
          digest,
          namespace,
        );
  return row && Number(row["size"]);
}
