import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue } from "node:sqlite";
import { openMetadata } from "@varve/metadata";
import type { Metadata, SnapshotBackends } from "@varve/metadata";
import type { Snapshotter } from "@varve/snapshots";
import { StoredContent } from "./stored-content.ts";

/** One snapshotter, by the name of `fake`. */
export function backends(backend: Snapshotter): SnapshotBackends {
  return { used: async () => ["fake"], get: async () => backend };
}

/** Metadata in a directory, over a snapshotter. */
export function openOver(
  root: string,
  backend: Snapshotter,
  content: StoredContent = new StoredContent(),
): Promise<Metadata<StoredContent>> {
  const path = join(root, "metadata.db");
  return openMetadata({ path, content, snapshotters: backends(backend), durability: "none" });
}

/** Does something to the database behind the back of those who have it open. */
export function sql(root: string, statement: string, ...values: readonly SQLInputValue[]): unknown[] {
  const database = new DatabaseSync(join(root, "metadata.db"));
  try {
    return database.prepare(statement).all(...values);
  } finally {
    database.close();
  }
}

/** Makes every record look as if the process that made it had been killed. */
export function killOwners(root: string): void {
  sql(root, "UPDATE snapshots SET owner = '1/1/00000000-0000-0000-0000-000000000000' WHERE owner <> ''");
}
