-- Payments of stores by the counter's own time, all or those of one terminal.
CREATE TABLE store_payments (
    store_id     TEXT NOT NULL,
    payment_id   TEXT NOT NULL,
    amount       INTEGER NOT NULL,
    currency     TEXT NOT NULL,
    method       TEXT NOT NULL,
    paid_at      INTEGER NOT NULL,
    terminal_id  TEXT,
    at           INTEGER NOT NULL,
    remaining    INTEGER NOT NULL,
    status       TEXT NOT NULL,
    cancelled_at INTEGER,
    position     TEXT NOT NULL,
    PRIMARY KEY (store_id, payment_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX store_payments_by_time ON store_payments (store_id, paid_at, payment_id);
CREATE INDEX store_payments_by_terminal ON store_payments (store_id, terminal_id, paid_at, payment_id) WHERE terminal_id IS NOT NULL;
