-- Stores by owner.
CREATE TABLE stores (
    store_id   TEXT NOT NULL,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    position   TEXT NOT NULL,
    PRIMARY KEY (store_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX stores_by_owner ON stores (owner, created_at, store_id);
