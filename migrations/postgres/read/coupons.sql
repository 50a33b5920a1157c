-- Coupons with their counts, and what was issued in each second.
-- Text has the byte order of collation "C", so that both engines order alike.
CREATE TABLE @.coupons (
    coupon_id       text COLLATE "C" NOT NULL,
    owner           text COLLATE "C" NOT NULL,
    name            text COLLATE "C" NOT NULL,
    name_folded     text COLLATE "C" NOT NULL,
    stock           int8 NOT NULL,
    per_member      int8 NOT NULL,
    opens_at        int8 NOT NULL,
    closes_at       int8 NOT NULL,
    valid_until     int8 NOT NULL,
    discount        text COLLATE "C" NOT NULL,
    shows           text COLLATE "C" NOT NULL,
    created_at      int8 NOT NULL,
    issued          int8 NOT NULL,
    revoked         int8 NOT NULL,
    remaining       int8 NOT NULL,
    first_issued_at int8,
    last_issued_at  int8,
    sold_out_at     int8,
    position        text COLLATE "C" NOT NULL,
    PRIMARY KEY (coupon_id)
);
CREATE INDEX ON @.coupons (created_at, coupon_id);
CREATE INDEX ON @.coupons (owner, created_at, coupon_id);

CREATE TABLE @.coupon_seconds (
    coupon_id text COLLATE "C" NOT NULL,
    second    int8 NOT NULL,
    issued    int8 NOT NULL,
    PRIMARY KEY (coupon_id, second)
);
