-- What long streams came to, piece by piece: the versions above `after`, up to `version`. A piece never changes; each is a
-- row, so that none is ever half written. Pieces of another schema are of no use to anybody and may be deleted.
CREATE TABLE segments (
    partition INTEGER NOT NULL,
    stream    TEXT    NOT NULL,
    schema    INTEGER NOT NULL,
    after     INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    payload   BLOB    NOT NULL,
    PRIMARY KEY (partition, stream, schema, after),
    CHECK (version > after)
) STRICT;
