-- Which builds of read models there are, and what operators decided about events that could not be applied.
CREATE TABLE IF NOT EXISTS counter (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    next INTEGER NOT NULL
) STRICT;
INSERT INTO counter (one, next) VALUES (1, 1) ON CONFLICT (one) DO NOTHING;
CREATE TABLE IF NOT EXISTS builds (
    build      INTEGER PRIMARY KEY,
    projection TEXT NOT NULL,
    version    INTEGER NOT NULL,
    purpose    TEXT NOT NULL CHECK (purpose IN ('serve', 'past')),
    state      TEXT NOT NULL CHECK (state IN ('making', 'active', 'retired')),
    retired_at INTEGER
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS builds_one_active ON builds (projection) WHERE state = 'active';
CREATE TABLE IF NOT EXISTS decisions (
    id         INTEGER PRIMARY KEY,
    projection TEXT NOT NULL,
    partition  INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    key        TEXT NOT NULL,
    action     TEXT NOT NULL CHECK (action IN ('retry', 'skip')),
    reason     TEXT NOT NULL,
    command    TEXT NOT NULL UNIQUE,
    actor      TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    outcome    TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS decisions_undone ON decisions (id) WHERE outcome IS NULL;
CREATE TABLE IF NOT EXISTS skips (
    projection TEXT NOT NULL,
    partition  INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    PRIMARY KEY (projection, partition, position)
) STRICT, WITHOUT ROWID;
