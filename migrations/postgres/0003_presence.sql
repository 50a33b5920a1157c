-- What nodes tell each other about who is connected to them: one row a node, written anew every few seconds. Nothing of it
-- is worth a place in the write-ahead log; after a crash of the database it is empty, and filled again a moment later.
CREATE UNLOGGED TABLE log.presence (
    node     text        COLLATE "C" PRIMARY KEY,
    said_at  timestamptz NOT NULL,
    displays jsonb       NOT NULL
);
