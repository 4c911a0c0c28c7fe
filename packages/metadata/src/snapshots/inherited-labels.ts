import { labelTarget } from "@varve/snapshots";

const inheritedPrefix = "containerd.io/snapshot/";

/** The labels that the snapshotter below is told too (U-MD.12). All others are the record's alone. */
export function inheritedLabels<T extends string | undefined>(labels: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(labels).filter(([name]) => name === labelTarget || name.startsWith(inheritedPrefix)),
  );
}
