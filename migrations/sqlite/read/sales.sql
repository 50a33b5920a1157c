-- What happened to a performance's seats in each minute of its sale.
CREATE TABLE sales_minutes (
    performance_id TEXT NOT NULL,
    minute         INTEGER NOT NULL,
    orders         INTEGER NOT NULL,
    seats_held     INTEGER NOT NULL,
    seats_released INTEGER NOT NULL,
    seats_sold     INTEGER NOT NULL,
    seats_refunded INTEGER NOT NULL,
    amount_sold    INTEGER NOT NULL,
    PRIMARY KEY (performance_id, minute)
) STRICT, WITHOUT ROWID;
