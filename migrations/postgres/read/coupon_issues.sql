-- Issued coupons: by serial through the key, by member through the only index.
-- Text has the byte order of collation "C", so that both engines order alike.
CREATE TABLE @.coupon_issues (
    coupon_id text COLLATE "C" NOT NULL,
    serial    int8 NOT NULL,
    task_id   text COLLATE "C" NOT NULL,
    account   text COLLATE "C" NOT NULL,
    issued_at int8 NOT NULL,
    revoked   int8 NOT NULL,
    order_id  text COLLATE "C",
    used      int8 NOT NULL,
    position  text COLLATE "C" NOT NULL,
    PRIMARY KEY (coupon_id, serial)
);
CREATE INDEX ON @.coupon_issues (account, issued_at, serial, coupon_id);
