-- Stores by owner. Text has the byte order of collation "C", so that both engines order alike.
CREATE TABLE @.stores (
    store_id   text COLLATE "C" NOT NULL,
    owner      text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    created_at int8 NOT NULL,
    position   text COLLATE "C" NOT NULL,
    PRIMARY KEY (store_id)
);
CREATE INDEX ON @.stores (owner, created_at, store_id);
