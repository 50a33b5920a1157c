-- What buyers have to be told, and whose orders they are.
-- Text has the byte order of collation "C", so that both engines order alike.
CREATE TABLE @.buyers (
    order_id       text COLLATE "C" NOT NULL,
    account        text COLLATE "C" NOT NULL,
    performance_id text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    PRIMARY KEY (order_id)
);
CREATE TABLE @.notifications (
    position       text COLLATE "C" NOT NULL,
    account        text COLLATE "C" NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    order_id       text COLLATE "C" NOT NULL,
    performance_id text COLLATE "C" NOT NULL,
    amount         int8,
    currency       text COLLATE "C" NOT NULL,
    at             int8 NOT NULL,
    PRIMARY KEY (position)
);
CREATE INDEX ON @.notifications (account, at, position);
