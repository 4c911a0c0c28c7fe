import type { Digest } from "@varve/digest";
import type { Item } from "../item.ts";
import type { SnapshotRow } from "../snapshots/rows.ts";
import type { ImageNeeds } from "./image-needs.ts";
import type { Problem } from "./report.ts";

/** A problem, with what a repair has to know of it. */
export type Finding =
  | { readonly what: "damaged blob"; readonly problem: Problem; readonly digest: Digest }
  | { readonly what: "missing blob"; readonly problem: Problem; readonly digest: Digest; readonly namespace: string }
  | { readonly what: "missing snapshot"; readonly problem: Problem; readonly row: SnapshotRow }
  | { readonly what: "damaged snapshot"; readonly problem: Problem; readonly row: SnapshotRow }
  | { readonly what: "orphaned blob"; readonly problem: Problem; readonly digest: Digest }
  | { readonly what: "orphaned ingest"; readonly problem: Problem; readonly ref: string }
  | {
      readonly what: "orphaned snapshot";
      readonly problem: Problem;
      readonly snapshotter: string;
      readonly backendKey: string;
    }
  | { readonly what: "incomplete image"; readonly problem: Problem; readonly needs: ImageNeeds };

export function contentItem(namespace: string, digest: Digest): Item {
  return { namespace, type: "content", id: digest };
}

export function snapshotItem({ namespace, snapshotter, name }: SnapshotRow): Item {
  return { namespace, type: "snapshot", snapshotter, id: name };
}

/** An ingest below, whose ref there is `namespace/ref`. */
export function ingestItem(ref: string): Item {
  const slash = ref.indexOf("/");
  return { namespace: ref.slice(0, Math.max(slash, 0)), type: "ingest", id: ref.slice(slash + 1) };
}
