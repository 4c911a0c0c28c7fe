import { CodedError } from "@varve/errors";
import type { SnapshotInfo, SnapshotKind, Usage } from "@varve/snapshots";

export interface Entry {
  readonly kind: SnapshotKind;
  readonly name: string;
  parent: string | undefined;
  labels: Record<string, string>;
  readonly createdAt: Date;
  updatedAt: Date;
  directory: string;
  usage: Usage | undefined;
  /** What it was committed as, for `check`. */
  fingerprint?: string | undefined;
  isStaged?: boolean | undefined;
}

/** What all instances of one place share. */
export interface Place {
  readonly root: string;
  entries: Map<string, Entry>;
  next: number;
  opened: number;
}

export function infoOf(entry: Entry): SnapshotInfo {
  const { kind, name, parent, labels, createdAt, updatedAt } = entry;
  return {
    kind,
    name,
    parent,
    labels: Object.fromEntries(Object.entries(labels)),
    createdAt: new Date(createdAt),
    updatedAt: new Date(updatedAt),
  };
}

/** Later than `before`, also within one tick of the clock. */
export function later(before: Date): Date {
  return new Date(Math.max(Date.now(), before.getTime() + 1));
}

export function checkLabels(labels: Readonly<Record<string, string | undefined>>): void {
  for (const [label, value = ""] of Object.entries(labels)) {
    if (label !== "" && Buffer.byteLength(label) + Buffer.byteLength(value) <= 4096) continue;
    throw new CodedError("ERR_INVALID_ARGUMENT", `label ${label.slice(0, 10)}: cannot be kept`);
  }
}
