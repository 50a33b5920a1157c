-- Coupons with their counts, and what was issued in each second.
CREATE TABLE coupons (
    coupon_id       TEXT NOT NULL,
    owner           TEXT NOT NULL,
    name            TEXT NOT NULL,
    name_folded     TEXT NOT NULL,
    stock           INTEGER NOT NULL,
    per_member      INTEGER NOT NULL,
    opens_at        INTEGER NOT NULL,
    closes_at       INTEGER NOT NULL,
    valid_until     INTEGER NOT NULL,
    discount        TEXT NOT NULL,
    shows           TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    issued          INTEGER NOT NULL,
    revoked         INTEGER NOT NULL,
    remaining       INTEGER NOT NULL,
    first_issued_at INTEGER,
    last_issued_at  INTEGER,
    sold_out_at     INTEGER,
    position        TEXT NOT NULL,
    PRIMARY KEY (coupon_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX coupons_by_time ON coupons (created_at, coupon_id);
CREATE INDEX coupons_by_owner ON coupons (owner, created_at, coupon_id);

CREATE TABLE coupon_seconds (
    coupon_id TEXT NOT NULL,
    second    INTEGER NOT NULL,
    issued    INTEGER NOT NULL,
    PRIMARY KEY (coupon_id, second)
) STRICT, WITHOUT ROWID;
