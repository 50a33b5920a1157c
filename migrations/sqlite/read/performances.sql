-- Performances with their terms, and how many seats of each section are in which state.
CREATE TABLE performances (
    performance_id       TEXT NOT NULL,
    owner                TEXT NOT NULL,
    show_id              TEXT NOT NULL,
    venue_id             TEXT NOT NULL,
    timezone             TEXT NOT NULL,
    starts_at            INTEGER NOT NULL,
    sale_opens_at        INTEGER NOT NULL,
    sale_closes_at       INTEGER NOT NULL,
    cancel_until         INTEGER,
    currency             TEXT NOT NULL,
    prices               TEXT NOT NULL,
    max_seats_per_order  INTEGER NOT NULL,
    max_seats_per_member INTEGER,
    hold_seconds         INTEGER NOT NULL,
    max_live_orders_per_member  INTEGER,
    max_unpaid_holds_per_member INTEGER,
    seats                INTEGER NOT NULL,
    available            INTEGER NOT NULL,
    paused               INTEGER NOT NULL,
    cancelled            INTEGER NOT NULL,
    position             TEXT NOT NULL,
    PRIMARY KEY (performance_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX performances_by_start ON performances (starts_at, performance_id);
CREATE INDEX performances_by_show ON performances (show_id, starts_at, performance_id);
CREATE INDEX performances_by_venue ON performances (venue_id, starts_at, performance_id);
CREATE TABLE sections (
    performance_id TEXT NOT NULL,
    section        TEXT NOT NULL,
    grade          TEXT NOT NULL,
    seats          INTEGER NOT NULL,
    held           INTEGER NOT NULL,
    sold           INTEGER NOT NULL,
    blocked        INTEGER NOT NULL,
    PRIMARY KEY (performance_id, section)
) STRICT, WITHOUT ROWID;
