import type { Ctr } from "./started-containerd.ts";

/** One line of `ctr snapshots ls`. */
export interface ListedSnapshot {
  readonly key: string;
  readonly parent: string;
  readonly kind: string;
}

/** What containerd knows of a snapshotter in one namespace, by the keys. */
export async function listedSnapshots(ctr: Ctr, snapshotter: string): Promise<ListedSnapshot[]> {
  const [header = "", ...lines] = (await ctr("snapshots", "--snapshotter", snapshotter, "ls")).trimEnd().split("\n");
  const [parentAt, kindAt] = [header.indexOf("PARENT"), header.indexOf("KIND")];
  const found = lines.map((line) => ({
    key: line.slice(0, parentAt).trim(),
    parent: line.slice(parentAt, kindAt).trim(),
    kind: line.slice(kindAt).trim(),
  }));
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
