/** The version of the format that this program writes. */
export const schemaVersion = 1;

// Ids are never given twice, or what a killed process left under an old id could pass for a new snapshot.
export const schema: string = `
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
PRAGMA user_version = ${schemaVersion};
`;

/** Changes nothing, but fails on a connection that cannot write: on such a one BEGIN IMMEDIATE takes no lock and says nothing. */
export const writeProbe = "DELETE FROM snapshots WHERE 0";
