-- Orders by buyer, seller, performance and the client's own number, and the tickets that came of them.
-- Text has the byte order of collation "C", so that both engines order alike.
CREATE TABLE @.orders (
    order_id       text COLLATE "C" NOT NULL,
    account        text COLLATE "C" NOT NULL,
    performance_id text COLLATE "C" NOT NULL,
    owner          text COLLATE "C" NOT NULL,
    status         text COLLATE "C" NOT NULL,
    seats          text COLLATE "C" NOT NULL,
    subtotal       int8 NOT NULL,
    discount       int8 NOT NULL,
    amount         int8 NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    coupon_task_id text COLLATE "C",
    reference      text COLLATE "C",
    placed_at      int8 NOT NULL,
    hold_until     int8 NOT NULL,
    attempts_left  int8 NOT NULL,
    refunded       int8 NOT NULL,
    tickets        int8 NOT NULL,
    stands         text COLLATE "C" NOT NULL,
    review         text COLLATE "C",
    changed_at     int8 NOT NULL,
    position       text COLLATE "C" NOT NULL,
    PRIMARY KEY (order_id)
);
CREATE INDEX ON @.orders (placed_at, order_id);
CREATE INDEX ON @.orders (owner, placed_at, order_id);
CREATE INDEX ON @.orders (performance_id, placed_at, order_id);
-- Most orders have none.
CREATE INDEX ON @.orders (reference, placed_at, order_id) WHERE reference IS NOT NULL;
CREATE INDEX ON @.orders (account, placed_at, order_id);

CREATE TABLE @.tickets (
    ticket_id      text COLLATE "C" NOT NULL,
    order_id       text COLLATE "C" NOT NULL,
    seat_id        text COLLATE "C" NOT NULL,
    performance_id text COLLATE "C" NOT NULL,
    account        text COLLATE "C" NOT NULL,
    price          int8 NOT NULL,
    paid           int8 NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    status         text COLLATE "C" NOT NULL,
    sold_at        int8 NOT NULL,
    used_at        int8,
    position       text COLLATE "C" NOT NULL,
    PRIMARY KEY (ticket_id)
);
CREATE INDEX ON @.tickets (account, sold_at, ticket_id);
CREATE INDEX ON @.tickets (order_id, seat_id);
