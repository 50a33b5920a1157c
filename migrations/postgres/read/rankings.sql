-- Which performances sold out and how fast, and tickets sold by show in buckets of time, summed at reading.
CREATE TABLE @.ranked_shows (
    show_id text COLLATE "C" NOT NULL,
    title   text COLLATE "C" NOT NULL,
    PRIMARY KEY (show_id)
);
CREATE TABLE @.ranked_performances (
    performance_id text COLLATE "C" NOT NULL,
    show_id        text COLLATE "C" NOT NULL,
    timezone       text COLLATE "C" NOT NULL,
    date           text COLLATE "C" NOT NULL,
    sale_opens_at  int8 NOT NULL,
    seats          int8 NOT NULL,
    sold           int8 NOT NULL,
    blocked        int8 NOT NULL,
    sold_out_at    int8,
    sold_out_ms    int8,
    PRIMARY KEY (performance_id)
) WITH (fillfactor = 50);
CREATE INDEX ON @.ranked_performances (date, sold_out_ms, performance_id);
CREATE TABLE @.ranked_sales (
    performance_id text COLLATE "C" NOT NULL,
    width          int8 NOT NULL,
    bucket         int8 NOT NULL,
    show_id        text COLLATE "C" NOT NULL,
    sold           int8 NOT NULL,
    PRIMARY KEY (performance_id, width, bucket)
) WITH (fillfactor = 50);
CREATE INDEX ON @.ranked_sales (width, bucket);
