-- Payments of stores by the counter's own time, all or those of one terminal.
-- Text has the byte order of collation "C", so that both engines order alike.
CREATE TABLE @.store_payments (
    store_id     text COLLATE "C" NOT NULL,
    payment_id   text COLLATE "C" NOT NULL,
    amount       int8 NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    method       text COLLATE "C" NOT NULL,
    paid_at      int8 NOT NULL,
    terminal_id  text COLLATE "C",
    at           int8 NOT NULL,
    remaining    int8 NOT NULL,
    status       text COLLATE "C" NOT NULL,
    cancelled_at int8,
    position     text COLLATE "C" NOT NULL,
    PRIMARY KEY (store_id, payment_id)
);
CREATE INDEX ON @.store_payments (store_id, paid_at, payment_id);
CREATE INDEX ON @.store_payments (store_id, terminal_id, paid_at, payment_id) WHERE terminal_id IS NOT NULL;
