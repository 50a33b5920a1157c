-- Which performances sold out and how fast, and tickets sold by show in buckets of time, summed at reading.
CREATE TABLE ranked_shows (
    show_id TEXT NOT NULL,
    title   TEXT NOT NULL,
    PRIMARY KEY (show_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE ranked_performances (
    performance_id TEXT NOT NULL,
    show_id        TEXT NOT NULL,
    timezone       TEXT NOT NULL,
    date           TEXT NOT NULL,
    sale_opens_at  INTEGER NOT NULL,
    seats          INTEGER NOT NULL,
    sold           INTEGER NOT NULL,
    blocked        INTEGER NOT NULL,
    sold_out_at    INTEGER,
    sold_out_ms    INTEGER,
    PRIMARY KEY (performance_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ranked_by_date ON ranked_performances (date, sold_out_ms, performance_id);
CREATE TABLE ranked_sales (
    performance_id TEXT NOT NULL,
    width          INTEGER NOT NULL,
    bucket         INTEGER NOT NULL,
    show_id        TEXT NOT NULL,
    sold           INTEGER NOT NULL,
    PRIMARY KEY (performance_id, width, bucket)
) STRICT, WITHOUT ROWID;
CREATE INDEX ranked_by_bucket ON ranked_sales (width, bucket);
