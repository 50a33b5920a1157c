-- The tables of the rivals on Postgres, made afresh for each run. As narrow as they may be, and with no index that no
-- statement needs.
DROP SCHEMA IF EXISTS onsale_rival CASCADE;
CREATE SCHEMA onsale_rival;
SET search_path = onsale_rival;

CREATE TABLE coupons (
    coupon_id text PRIMARY KEY,
    stock     bigint NOT NULL,
    issued    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- The stock in parts, each with serials of its own: who comes takes any part that nobody holds.
CREATE TABLE buckets (
    coupon_id text NOT NULL,
    bucket    int NOT NULL,
    next      bigint NOT NULL,
    last      bigint NOT NULL,
    PRIMARY KEY (coupon_id, bucket)
) WITH (fillfactor = 20);

-- One member, one coupon.
CREATE TABLE issues (
    coupon_id  text NOT NULL,
    account_id text NOT NULL,
    serial     bigint NOT NULL,
    task_id    text NOT NULL,
    issued_at  bigint NOT NULL,
    command    bytea NOT NULL,
    body       bytea NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (coupon_id, account_id)
);

-- Of the row lock: every seat has its row.
CREATE TABLE seats (
    performance_id text NOT NULL,
    seat_id        text NOT NULL,
    order_id       text,
    PRIMARY KEY (performance_id, seat_id)
) WITH (fillfactor = 50);

-- Of the stored function: only seats that somebody holds have one.
CREATE TABLE holds (
    performance_id text NOT NULL,
    seat_id        text NOT NULL,
    order_id       text NOT NULL,
    PRIMARY KEY (performance_id, seat_id)
);

CREATE TABLE orders (
    order_id       text PRIMARY KEY,
    performance_id text NOT NULL,
    account_id     text NOT NULL,
    status         smallint NOT NULL DEFAULT 0,
    placed_at      bigint NOT NULL,
    body           bytea NOT NULL,
    -- Seats, prices, deadline.
    placed         bytea NOT NULL,
    position       bigint NOT NULL
);

CREATE TABLE timers (
    due      bigint NOT NULL,
    order_id text NOT NULL,
    PRIMARY KEY (due, order_id)
);

CREATE TABLE events (
    position  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream    text NOT NULL,
    kind      text NOT NULL,
    at        bigint NOT NULL,
    principal text NOT NULL,
    command   bytea NOT NULL,
    payload   bytea NOT NULL
);
