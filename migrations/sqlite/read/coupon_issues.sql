-- Issued coupons: by serial through the key, by member through the only index.
CREATE TABLE coupon_issues (
    coupon_id TEXT NOT NULL,
    serial    INTEGER NOT NULL,
    task_id   TEXT NOT NULL,
    account   TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    revoked   INTEGER NOT NULL,
    order_id  TEXT,
    used      INTEGER NOT NULL,
    position  TEXT NOT NULL,
    PRIMARY KEY (coupon_id, serial)
) STRICT, WITHOUT ROWID;
CREATE INDEX coupon_issues_by_member ON coupon_issues (account, issued_at, serial, coupon_id);
