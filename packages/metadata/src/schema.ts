/** "vrve", so that `file` and we can tell the database from others. */
export const applicationId = 0x76727665;

/** Element i brings format i to i + 1. A released element is never changed. Times are milliseconds since 1970, labels JSON objects. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE images (
    name TEXT PRIMARY KEY, target TEXT NOT NULL, labels TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE blobs (
    digest TEXT PRIMARY KEY, labels TEXT NOT NULL, updated_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE leases (
    id TEXT PRIMARY KEY, labels TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE lease_resources (
    lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
    type TEXT NOT NULL, snapshotter TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (lease, type, snapshotter, id)
  ) STRICT, WITHOUT ROWID;
  `,
  // Namespaces. What was there belongs to the one called default; `adoptions` has its blobs looked for when it is opened.
  `
  CREATE TABLE namespaces (name TEXT PRIMARY KEY, labels TEXT NOT NULL) STRICT, WITHOUT ROWID;

  ALTER TABLE images RENAME TO images_1;
  CREATE TABLE images (
    namespace TEXT NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL, labels TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO images SELECT 'default', name, target, labels, created_at, updated_at FROM images_1;
  DROP TABLE images_1;

  ALTER TABLE blobs RENAME TO blobs_1;
  CREATE TABLE blobs (
    namespace TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, labels TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (namespace, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blobs_by_digest ON blobs (digest);
  INSERT INTO blobs SELECT 'default', digest, 0, labels, updated_at, updated_at FROM blobs_1;
  DROP TABLE blobs_1;
  CREATE TABLE adoptions (what TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  INSERT INTO adoptions SELECT 'content' WHERE EXISTS (SELECT 1 FROM blobs) OR EXISTS (SELECT 1 FROM images);

  ALTER TABLE leases RENAME TO leases_1;
  ALTER TABLE lease_resources RENAME TO lease_resources_1;
  CREATE TABLE leases (
    namespace TEXT NOT NULL, id TEXT NOT NULL, labels TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER,
    PRIMARY KEY (namespace, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE lease_resources (
    namespace TEXT NOT NULL, lease TEXT NOT NULL, type TEXT NOT NULL, snapshotter TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (namespace, lease, type, snapshotter, id),
    FOREIGN KEY (namespace, lease) REFERENCES leases (namespace, id) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  INSERT INTO leases SELECT 'default', id, labels, created_at, expires_at FROM leases_1;
  INSERT INTO lease_resources SELECT 'default', lease, type, snapshotter, id FROM lease_resources_1;
  CREATE INDEX lease_resources_by_resource ON lease_resources (namespace, type, snapshotter, id);
  DROP TABLE lease_resources_1;
  DROP TABLE leases_1;

  -- One row for each ingest below, whose ref there is namespace/ref. expected is kept like a blob from before its commit.
  CREATE TABLE ingests (
    namespace TEXT NOT NULL, ref TEXT NOT NULL, expected TEXT, created_at INTEGER NOT NULL,
    PRIMARY KEY (namespace, ref)
  ) STRICT, WITHOUT ROWID;

  -- backend_key is namespace/seq/name, with the name it was given in the snapshotter below; owner is the process that
  -- made the record, which it does before the snapshot itself. A number is never given twice.
  CREATE TABLE snapshots (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL, snapshotter TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    parent INTEGER REFERENCES snapshots (seq), backend_key TEXT NOT NULL, owner TEXT NOT NULL, labels TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    UNIQUE (namespace, snapshotter, name)
  ) STRICT;
  CREATE INDEX snapshots_by_parent ON snapshots (parent);
  CREATE INDEX snapshots_by_backend_key ON snapshots (snapshotter, backend_key);

  -- Blobs that the process owner is removing from the store below: nobody may make a record of one meanwhile.
  CREATE TABLE removals (digest TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
];
