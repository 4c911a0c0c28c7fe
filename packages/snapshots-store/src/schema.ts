// Ids are never given twice, or what a killed process left under an old id could pass for a new snapshot.
const version1 = `
CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('active', 'committed', 'view')),
  parent INTEGER REFERENCES snapshots (id),
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  bytes INTEGER,
  inodes INTEGER
) STRICT;
CREATE INDEX snapshots_by_parent ON snapshots (parent);
CREATE TABLE labels (
  snapshot INTEGER NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (snapshot, name)
) STRICT, WITHOUT ROWID;
`;

// Of what version 1 has recorded, views of something have no directory, and what was committed has no fingerprint.
const version2 = `
ALTER TABLE snapshots ADD COLUMN directory INTEGER NOT NULL DEFAULT 1;
UPDATE snapshots SET directory = 0 WHERE kind = 'view' AND parent IS NOT NULL;
ALTER TABLE snapshots ADD COLUMN fingerprint BLOB;
`;

/** Each brings the format from its index to the next version. */
export const migrations: readonly string[] = [version1, version2];
