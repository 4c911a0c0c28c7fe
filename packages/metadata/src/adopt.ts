import type { BlobInfo } from "@varve/content";
import type { SnapshotInfo } from "@varve/snapshots";
import type { Session } from "./database.ts";
import { textOf } from "./pages.ts";
import type { StoreContext } from "./store-context.ts";

/** The namespace of what a store of the first format had. */
const namespace = "default";

/**
 * Makes records of the blobs and snapshots that a store had when its format knew none of either. It is done once; a
 * process that is killed before the end, or another one that does the same, harms nothing.
 */
export async function adopt(context: StoreContext): Promise<void> {
  const { database, content, snapshotters } = context;
  if (database.readOnly || !(await database.read(isWanted))) return;
  const blobs = await all(content.walk());
  const snapshots: [string, readonly SnapshotInfo[]][] = [];
  for (const name of await snapshotters.used()) {
    snapshots.push([name, await all((await snapshotters.get(name)).walk())]);
  }
  await database.write((session) => {
    if (!isWanted(session)) return;
    session.run("INSERT OR IGNORE INTO namespaces (name, labels) VALUES (?, '{}')", namespace);
    adoptBlobs(session, blobs);
    for (const [name, infos] of snapshots) adoptSnapshots(session, name, infos);
    session.run("DELETE FROM adoptions");
  });
}

function isWanted(session: Session): boolean {
  return session.get("SELECT 1 FROM adoptions LIMIT 1") !== undefined;
}

function adoptBlobs(session: Session, blobs: readonly BlobInfo[]): void {
  const present = new Set<string>(blobs.map(({ digest }) => digest));
  for (const row of session.all("SELECT digest FROM blobs WHERE namespace = ?", namespace)) {
    const digest = textOf(row, "digest");
    // Labels whose blob was gone before.
    if (!present.has(digest)) session.run("DELETE FROM blobs WHERE namespace = ? AND digest = ?", namespace, digest);
  }
  for (const { digest, size, createdAt, updatedAt } of blobs) {
    session.run(
      `INSERT INTO blobs (namespace, digest, size, labels, created_at, updated_at) VALUES (?, ?, ?, '{}', ?, ?)
       ON CONFLICT (namespace, digest) DO UPDATE SET size = excluded.size, created_at = excluded.created_at`,
      namespace,
      digest,
      size,
      createdAt.getTime(),
      updatedAt.getTime(),
    );
  }
}

/** They keep the keys that they have below. */
function adoptSnapshots(session: Session, snapshotter: string, snapshots: readonly SnapshotInfo[]): void {
  for (const { name, kind, labels, createdAt, updatedAt } of snapshots) {
    session.run(
      `INSERT OR IGNORE INTO snapshots
       (namespace, snapshotter, name, kind, backend_key, owner, labels, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, '', ?, ?, ?)`,
      namespace,
      snapshotter,
      name,
      kind,
      name,
      JSON.stringify(labels),
      createdAt.getTime(),
      updatedAt.getTime(),
    );
  }
  for (const { name, parent } of snapshots) {
    session.run(
      `UPDATE snapshots SET parent =
         (SELECT seq FROM snapshots WHERE namespace = ? AND snapshotter = ? AND name = ?)
       WHERE namespace = ? AND snapshotter = ? AND name = ?`,
      namespace,
      snapshotter,
      parent ?? null,
      namespace,
      snapshotter,
      name,
    );
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
