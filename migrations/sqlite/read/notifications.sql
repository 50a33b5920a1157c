-- What buyers have to be told, and whose orders they are.
CREATE TABLE buyers (
    order_id       TEXT NOT NULL,
    account        TEXT NOT NULL,
    performance_id TEXT NOT NULL,
    currency       TEXT NOT NULL,
    PRIMARY KEY (order_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE notifications (
    position       TEXT NOT NULL,
    account        TEXT NOT NULL,
    kind           TEXT NOT NULL,
    order_id       TEXT NOT NULL,
    performance_id TEXT NOT NULL,
    amount         INTEGER,
    currency       TEXT NOT NULL,
    at             INTEGER NOT NULL,
    PRIMARY KEY (position)
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_by_account ON notifications (account, at, position);
