import { join } from "node:path";
import { escapeOverlayPath } from "@varve/mount";
import type { Mount } from "@varve/mount";
import type { StoredSnapshot } from "@varve/snapshots-store";

/** The mounts of an active snapshot or a view (U-OVL.5). */
export function snapshotMounts(
  snapshot: StoredSnapshot,
  directoryOf: (id: number) => string,
  common: readonly string[],
): readonly Mount[] {
  const { id, kind, parentIds } = snapshot;
  const [nearest] = parentIds;
  const upper = join(directoryOf(id), "fs");
  const access = kind === "view" ? "ro" : "rw";
  if (nearest === undefined) return [bind(upper, access)];
  if (kind === "view" && parentIds.length === 1) return [bind(join(directoryOf(nearest), "fs"), access)];
  const lower = parentIds.map((parent) => escapeOverlayPath(join(directoryOf(parent), "fs"))).join(":");
  const options = [`lowerdir=${lower}`, ...common];
  if (kind === "active") {
    const work = join(directoryOf(id), "work");
    options.unshift(`workdir=${escapeOverlayPath(work)}`, `upperdir=${escapeOverlayPath(upper)}`);
  }
  return [{ type: "overlay", source: "overlay", options }];
}

function bind(source: string, access: "ro" | "rw"): Mount {
  return { type: "bind", source, options: [access, "rbind"] };
}
