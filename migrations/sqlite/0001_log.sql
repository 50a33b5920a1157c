-- The log of one machine. Events are kept in the order of their partition; the second index leads from a stream to its events.
CREATE TABLE events (
    partition   INTEGER NOT NULL,
    position    INTEGER NOT NULL CHECK (position > 0),
    stream      TEXT    NOT NULL,
    version     INTEGER NOT NULL CHECK (version > 0),
    kind        TEXT    NOT NULL,
    schema      INTEGER NOT NULL,
    codec       INTEGER NOT NULL,
    event_id    BLOB    NOT NULL,
    command     BLOB    NOT NULL,
    correlation BLOB    NOT NULL,
    causation   BLOB,
    principal   TEXT    NOT NULL,
    owner       TEXT,
    epoch       INTEGER NOT NULL,
    node        TEXT    NOT NULL,
    at          INTEGER NOT NULL, -- milliseconds since 1970, as recorded_at
    recorded_at INTEGER NOT NULL,
    unit_last   INTEGER NOT NULL CHECK (unit_last IN (0, 1)),
    chain       BLOB    NOT NULL CHECK (length(chain) = 32),
    payload     BLOB    NOT NULL,
    PRIMARY KEY (partition, position),
    CONSTRAINT events_stream_version UNIQUE (partition, stream, version)
) STRICT, WITHOUT ROWID;

-- History is not edited, whoever asks. REPLACE deletes without asking DELETE triggers, hence the third one.
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the log is never edited: UPDATE of events is refused'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the log is never edited: DELETE of events is refused'); END;
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE partition = NEW.partition AND position = NEW.position)
  OR EXISTS (SELECT 1 FROM events WHERE partition = NEW.partition AND stream = NEW.stream AND version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'the log is never edited: this position or version is taken'); END;

CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    head      INTEGER NOT NULL DEFAULT 0,
    epoch     INTEGER NOT NULL DEFAULT 0,
    owner     TEXT
) STRICT;

CREATE TABLE timers (
    partition INTEGER NOT NULL,
    stream    TEXT    NOT NULL,
    due       INTEGER NOT NULL,
    PRIMARY KEY (partition, stream)
) STRICT, WITHOUT ROWID;

-- Which kinds and versions the log holds, and since when: a build that does not know one refuses at start.
CREATE TABLE kinds (
    kind            TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    first_partition INTEGER NOT NULL,
    first_position  INTEGER NOT NULL,
    PRIMARY KEY (kind, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    partition INTEGER NOT NULL,
    stream    TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    schema    INTEGER NOT NULL,
    payload   BLOB    NOT NULL,
    PRIMARY KEY (partition, stream)
) STRICT;

-- Free text of people, by event: erasable, therefore not in the log.
CREATE TABLE notes (
    event_id BLOB PRIMARY KEY,
    text     TEXT NOT NULL
) STRICT;

CREATE TABLE nodes (
    node       TEXT    PRIMARY KEY,
    session    BLOB    NOT NULL,
    since      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    released   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE meta (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    partitions   INTEGER NOT NULL,
    format_level INTEGER NOT NULL
) STRICT;
