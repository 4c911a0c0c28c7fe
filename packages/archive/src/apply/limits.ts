import type { LayerLimits } from "./types.ts";

/** The limits given, and the defaults for the others. */
export function withDefaults(limits: Partial<LayerLimits> = {}): LayerLimits {
  return {
    entries: limits.entries ?? 10_000_000,
    bytes: limits.bytes ?? 2 ** 40,
    pathBytes: limits.pathBytes ?? 65_536,
    depth: limits.depth ?? 4096,
    directories: limits.directories ?? 250_000,
    mergedFiles: limits.mergedFiles ?? 500_000,
    headerBytes: limits.headerBytes ?? 1024 * 1024,
    xattrs: limits.xattrs ?? 1024,
  };
}
