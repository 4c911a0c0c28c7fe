/** Element i brings format i to i + 1. A released element is never changed. */
export const migrations: readonly string[] = [
  `
  -- state: 'making' until its snapshot is committed, by the process of owner; 'going' while it is removed.
  CREATE TABLE layers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    chain TEXT NOT NULL,
    diff TEXT NOT NULL,
    parent INTEGER REFERENCES layers (id),
    depth INTEGER NOT NULL,
    diff_size INTEGER NOT NULL,
    size INTEGER NOT NULL,
    descriptor TEXT,
    state TEXT NOT NULL CHECK (state IN ('making', 'ready', 'going')),
    owner TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX layers_ready ON layers (chain) WHERE state = 'ready';
  CREATE INDEX layers_chain ON layers (chain);
  CREATE INDEX layers_parent ON layers (parent);
  CREATE TABLE refs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    layer INTEGER NOT NULL REFERENCES layers (id),
    owner TEXT NOT NULL
  ) STRICT;
  CREATE INDEX refs_layer ON refs (layer);
  -- state: 'making' until its snapshot is there, by the process of owner; 'going' from the release of its last reference on.
  -- mount_id: in the names of its snapshots and of its mount point.
  CREATE TABLE rw_layers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    mount_id TEXT NOT NULL UNIQUE,
    parent INTEGER REFERENCES layers (id),
    has_init INTEGER NOT NULL CHECK (has_init IN (0, 1)),
    state TEXT NOT NULL CHECK (state IN ('making', 'ready', 'going')),
    owner TEXT NOT NULL
  ) STRICT;
  CREATE INDEX rw_layers_parent ON rw_layers (parent);
  -- mounts: how often this reference has it mounted.
  CREATE TABLE rw_refs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    layer INTEGER NOT NULL REFERENCES rw_layers (id),
    owner TEXT NOT NULL,
    mounts INTEGER NOT NULL DEFAULT 0 CHECK (mounts >= 0)
  ) STRICT;
  CREATE INDEX rw_refs_layer ON rw_refs (layer);
  `,
];
