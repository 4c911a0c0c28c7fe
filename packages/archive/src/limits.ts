import type { LayerLimits } from "./types.ts";

/** The limits given, and the defaults for the others. */
export function withDefaults(limits: Partial<LayerLimits> = {}): LayerLimits {
  return {
    entries: limits.entries ?? Infinity,
    bytes: limits.bytes ?? Infinity,
    pathBytes: limits.pathBytes ?? 65_536,
    depth: limits.depth ?? 4096,
    directories: limits.directories ?? 1_000_000,
    headerBytes: limits.headerBytes ?? 1024 * 1024,
  };
}
