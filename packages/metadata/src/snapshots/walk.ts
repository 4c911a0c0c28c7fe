import { parseFilter } from "@varve/filters";
import { labelUpperDirectory, snapshotFilter } from "@varve/snapshots";
import type { SnapshotInfo, SnapshotKind, WalkOptions } from "@varve/snapshots";
import type { Session } from "../database.ts";
import { findBelow } from "./below.ts";
import type { SnapshotPlace } from "./place.ts";
import { infoOf, selectSnapshots, snapshotRowOf } from "./rows.ts";
import type { SnapshotRow, SnapshotScope } from "./rows.ts";

const pageSize = 100;
const allKinds: readonly SnapshotKind[] = ["active", "committed", "view"];

/** By pages, with no transaction open while the caller works (U-MD.16). Filters see what the caller sees (U-SN.7). */
export async function* walkSnapshots(
  place: SnapshotPlace,
  { filters, signal }: WalkOptions,
): AsyncGenerator<SnapshotInfo, void, undefined> {
  const { database, backend } = place;
  const matches = snapshotFilter(filters);
  // Looking below costs more than the record: only for what the record lets through.
  const mayMatch = asksBelow(filters) ? () => true : (row: SnapshotRow) => matches(infoOf(row));
  const kinds = kindsOf(filters);
  for (let last = 0; ;) {
    const after = last;
    const rows = await database.read((session) => pageAfter(session, place, { after, kinds }), signal);
    const wanted = rows.filter(mayMatch);
    const below = await Promise.all(wanted.map((row) => findBelow(backend, row, { signal })));
    for (const [index, row] of wanted.entries()) {
      signal?.throwIfAborted();
      const there = below[index];
      if (there === undefined) continue;
      const info = infoOf(row, there);
      if (matches(info)) yield info;
    }
    if (rows.length < pageSize) return;
    last = rows.at(-1)?.seq ?? last;
  }
}

interface PageStart {
  /** Only those after this number. */
  readonly after: number;
  readonly kinds: readonly string[];
}

function pageAfter(session: Session, scope: SnapshotScope, { after, kinds }: PageStart): SnapshotRow[] {
  // The plus signs keep SQLite from an index by name: it would read and sort all that the namespace has, for every page.
  const where = `WHERE +s.namespace = ? AND +s.snapshotter = ? AND s.seq > ?
    AND s.kind IN (SELECT value FROM json_each(?)) ORDER BY s.seq LIMIT ?`;
  return session
    .all(`${selectSnapshots} ${where}`, scope.namespace, scope.snapshotter, after, JSON.stringify(kinds), pageSize)
    .map(snapshotRowOf);
}

/** The kinds that can get through, so that a few active ones among thousands of layers are found without reading these. */
function kindsOf(filters: readonly string[] = []): readonly string[] {
  const kinds = filters.map((filter) => {
    const about = parseFilter(filter).filter(({ path }) => path.length === 1 && path[0] === "kind");
    return about.find(({ operator }) => operator === "==")?.value;
  });
  const known = kinds.filter((kind) => kind !== undefined);
  return kinds.length > 0 && known.length === kinds.length ? known : allKinds;
}

/** Whether a filter is about what only the snapshotter below can tell. */
function asksBelow(filters: readonly string[] = []): boolean {
  const selectors = filters.flatMap((filter) => parseFilter(filter));
  return selectors.some(({ path: [field, ...rest] }) => field === "labels" && rest.join(".") === labelUpperDirectory);
}
