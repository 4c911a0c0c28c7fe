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
];
