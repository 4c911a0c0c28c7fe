import type { Item } from "../item.ts";

export interface CollectOptions {
  /** Rejects with the signal's own reason. What was removed by then is removed; the next run goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Tells what would go, and removes nothing. Default: false. */
  readonly dryRun?: boolean | undefined;
  /** How long an ingest is kept that nobody works on, in milliseconds since its last byte. Default: 24 hours. */
  readonly ingestAgeMs?: number | undefined;
  /** How many bytes such ingests may hold in all; the ones written longest ago go first. Default: no limit. */
  readonly ingestBytes?: number | undefined;
}

export interface CollectedItem extends Item {
  /** What it held on disk, where that is known. */
  readonly bytes: number;
  /** Why it went: `nothing refers to it`, `expired 2026-01-01T00:00:00.000Z`, … */
  readonly reason: string;
}

/** What one run of the collector did. */
export interface CollectReport {
  /** What went, or with `dryRun` would go. */
  readonly removed: readonly CollectedItem[];
  /** What could not be removed. It is tried again by the next run, and stopped nothing else (G-42). */
  readonly failed: readonly { readonly item: Item; readonly error: unknown }[];
  /** How many things were kept. */
  readonly kept: number;
  /** Freed, or with `dryRun` to be freed. */
  readonly bytes: number;
  readonly durationMs: number;
}

/** One step of the way from a root. */
export interface Reason {
  readonly item: Item;
  /** Of the first step, why it is a root; of the others, what refers to it: `label containerd.io/gc.ref.content.l.0`, `target`, `parent`. */
  readonly by: string;
}

/** Why a thing is kept, or goes. */
export interface Explanation {
  readonly item: Item;
  readonly kept: boolean;
  /** From a root to the item, both included. Empty if it is not kept. */
  readonly path: readonly Reason[];
  /** One sentence. */
  readonly summary: string;
}
