-- Orders by buyer, seller, performance and the client's own number, and the tickets that came of them.
CREATE TABLE orders (
    order_id       TEXT NOT NULL,
    account        TEXT NOT NULL,
    performance_id TEXT NOT NULL,
    owner          TEXT NOT NULL,
    status         TEXT NOT NULL,
    seats          TEXT NOT NULL,
    subtotal       INTEGER NOT NULL,
    discount       INTEGER NOT NULL,
    amount         INTEGER NOT NULL,
    currency       TEXT NOT NULL,
    coupon_task_id TEXT,
    reference      TEXT,
    placed_at      INTEGER NOT NULL,
    hold_until     INTEGER NOT NULL,
    attempts_left  INTEGER NOT NULL,
    refunded       INTEGER NOT NULL,
    tickets        INTEGER NOT NULL,
    stands         TEXT NOT NULL,
    review         TEXT,
    changed_at     INTEGER NOT NULL,
    position       TEXT NOT NULL,
    PRIMARY KEY (order_id)
) STRICT, WITHOUT ROWID;
-- From the widest to the narrowest: where two of them fit, SQLite takes the one that was made later.
CREATE INDEX orders_by_time ON orders (placed_at, order_id);
CREATE INDEX orders_by_owner ON orders (owner, placed_at, order_id);
CREATE INDEX orders_by_performance ON orders (performance_id, placed_at, order_id);
-- Most orders have none.
CREATE INDEX orders_by_reference ON orders (reference, placed_at, order_id) WHERE reference IS NOT NULL;
CREATE INDEX orders_by_account ON orders (account, placed_at, order_id);

CREATE TABLE tickets (
    ticket_id      TEXT NOT NULL,
    order_id       TEXT NOT NULL,
    seat_id        TEXT NOT NULL,
    performance_id TEXT NOT NULL,
    account        TEXT NOT NULL,
    price          INTEGER NOT NULL,
    paid           INTEGER NOT NULL,
    currency       TEXT NOT NULL,
    status         TEXT NOT NULL,
    sold_at        INTEGER NOT NULL,
    used_at        INTEGER,
    position       TEXT NOT NULL,
    PRIMARY KEY (ticket_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_by_account ON tickets (account, sold_at, ticket_id);
CREATE INDEX tickets_by_order ON tickets (order_id, seat_id);
