-- What every build has besides its own tables: where it stands, what waits, and who writes.
CREATE TABLE cursors (
    partition INTEGER PRIMARY KEY,
    position  INTEGER NOT NULL
) STRICT;
CREATE TABLE parked (
    partition INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    key       TEXT NOT NULL,
    error     TEXT NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (partition, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX parked_by_key ON parked (key, partition, position);
CREATE TABLE runner (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO runner (one, epoch) VALUES (1, 0);
