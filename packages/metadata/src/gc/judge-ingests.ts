import type { IngestStatus } from "@varve/content";
import { none } from "./graph.ts";
import type { Graph, Node, SeedKind } from "./graph.ts";
import type { Inventory } from "./inventory.ts";

const minute = 60_000;

export interface IngestLimits {
  /** Milliseconds since the last byte. */
  readonly ingestAgeMs: number;
  readonly ingestBytes: number;
}

export interface IngestRecord {
  readonly node: Node;
  /** The ref it has below. */
  readonly below: string;
  readonly expected: string | undefined;
  /** When its last writer came. */
  readonly createdAt: number;
}

export interface IngestCase {
  readonly graph: Graph;
  readonly inventory: Inventory;
  readonly limits: IngestLimits;
  readonly records: readonly IngestRecord[];
  /** What live leases hold. */
  readonly held: ReadonlySet<Node>;
}

interface Written {
  readonly node: Node;
  readonly status: IngestStatus;
  /** When it was written last, or its last writer came. */
  readonly touchedAt: number;
}

/** Says of every ingest that no lease holds whether it is a root. */
export function judgeIngests(ingests: IngestCase): void {
  const { graph, inventory, limits } = ingests;
  const say = (node: Node, kind: SeedKind, by: string): void => void graph.seeds.push({ node, kind, by, from: none });
  const young: Written[] = [];
  for (const record of ingests.records) {
    if (ingests.held.has(record.node)) continue;
    const { node, createdAt } = record;
    const status = inventory.ingests.get(record.below);
    if (status === undefined) {
      const patience = patienceFor(ingests, record);
      if (!isYoung(patience, inventory.now, createdAt, createdAt)) say(node, "gone", "has no bytes");
      else say(node, "kept", "ingest that is about to begin, or to be committed");
      continue;
    }
    const touchedAt = Math.max(status.updatedAt.getTime(), createdAt);
    if (isYoung(limits.ingestAgeMs, inventory.now, touchedAt, createdAt)) young.push({ node, status, touchedAt });
    else say(node, "gone", `was last written ${status.updatedAt.toISOString()}, too long ago`);
  }
  let bytes = young.reduce((sum, { status }) => sum + status.offset, 0);
  for (const { node, status } of young.toSorted((a, b) => a.touchedAt - b.touchedAt)) {
    if (bytes > limits.ingestBytes) {
      bytes -= status.offset;
      say(node, "gone", `is too much for the ${limits.ingestBytes} bytes that ingests may hold`);
    } else {
      say(node, "kept", `ingest, last written ${status.updatedAt.toISOString()}`);
    }
  }
}

/** A record is made before its ingest, and goes after its blob is there. */
function patienceFor({ graph, inventory, limits }: IngestCase, { expected }: IngestRecord): number {
  const isUnrecorded =
    expected !== undefined && inventory.blobs.has(expected) && graph.everywhere("content", expected).length === 0;
  return isUnrecorded ? limits.ingestAgeMs : Math.min(minute, limits.ingestAgeMs);
}

/**
 * A time in the future comes from a clock that was wrong, and is as old as one as far in the past (P08); unless a writer
 * has come since the inventory was begun.
 */
function isYoung(limit: number, now: number, time: number, createdAt: number): boolean {
  return Math.abs(now - time) < limit || (createdAt > now && createdAt <= Date.now());
}
