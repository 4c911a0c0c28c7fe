import { join } from "node:path";
import { CodedError } from "@varve/errors";
import { escapeOverlayPath, withoutVolatile } from "@varve/mount";
import type { Mount } from "@varve/mount";
import type { StoredSnapshot } from "@varve/snapshots-store";

/** The kernel's OVL_MAX_STACK: lower directories of one overlay. */
const maxLayers = 500;

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
  // Without an upper directory there is nothing that could be kept from the disk.
  if (kind === "view") return withoutVolatile([overlay(options)]);
  const work = join(directoryOf(id), "work");
  return [overlay([`workdir=${escapeOverlayPath(work)}`, `upperdir=${escapeOverlayPath(upper)}`, ...options])];
}

/**
 * Whether the kernel can stack so many layers, said before a snapshot is made that nobody can mount (C09).
 *
 * @throws ERR_NOT_IMPLEMENTED
 */
export function mustFitStack(key: string, parentIds: readonly number[]): void {
  if (parentIds.length <= maxLayers) return;
  const message = `snapshot ${key}: stands on ${parentIds.length} layers, and an overlay takes ${maxLayers} at most`;
  throw new CodedError("ERR_NOT_IMPLEMENTED", message);
}

function overlay(options: readonly string[]): Mount {
  return { type: "overlay", source: "overlay", options };
}

function bind(source: string, access: "ro" | "rw"): Mount {
  return { type: "bind", source, options: [access, "rbind"] };
}
