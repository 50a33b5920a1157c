-- What long streams came to, piece by piece: the versions above `after`, up to `version`. A piece never changes; each is a
-- row, so that none is ever half written. Pieces of another schema are of no use to anybody and may be deleted.
CREATE TABLE log.segments (
    partition int4  NOT NULL,
    stream    text  COLLATE "C" NOT NULL,
    schema    int2  NOT NULL,
    after     int8  NOT NULL,
    version   int8  NOT NULL,
    position  int8  NOT NULL,
    payload   bytea NOT NULL,
    PRIMARY KEY (partition, stream, schema, after),
    CHECK (version > after)
);
ALTER TABLE log.segments ALTER COLUMN payload SET STORAGE EXTERNAL;
