-- What happened to a performance's seats in each minute of its sale.
CREATE TABLE @.sales_minutes (
    performance_id text COLLATE "C" NOT NULL,
    minute         int8 NOT NULL,
    orders         int8 NOT NULL,
    seats_held     int8 NOT NULL,
    seats_released int8 NOT NULL,
    seats_sold     int8 NOT NULL,
    seats_refunded int8 NOT NULL,
    amount_sold    int8 NOT NULL,
    PRIMARY KEY (performance_id, minute)
) WITH (fillfactor = 50);
