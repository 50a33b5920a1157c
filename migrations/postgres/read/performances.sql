-- Performances with their terms, and how many seats of each section are in which state. Text has the byte order of
-- collation "C", so that both engines order alike. Rows change with every order: room for new versions in the page.
CREATE TABLE @.performances (
    performance_id       text COLLATE "C" NOT NULL,
    owner                text COLLATE "C" NOT NULL,
    show_id              text COLLATE "C" NOT NULL,
    venue_id             text COLLATE "C" NOT NULL,
    timezone             text COLLATE "C" NOT NULL,
    starts_at            int8 NOT NULL,
    sale_opens_at        int8 NOT NULL,
    sale_closes_at       int8 NOT NULL,
    cancel_until         int8,
    currency             text COLLATE "C" NOT NULL,
    prices               text COLLATE "C" NOT NULL,
    max_seats_per_order  int8 NOT NULL,
    max_seats_per_member int8,
    hold_seconds         int8 NOT NULL,
    max_live_orders_per_member  int8,
    max_unpaid_holds_per_member int8,
    seats                int8 NOT NULL,
    available            int8 NOT NULL,
    paused               int8 NOT NULL,
    cancelled            int8 NOT NULL,
    position             text COLLATE "C" NOT NULL,
    PRIMARY KEY (performance_id)
) WITH (fillfactor = 50);
CREATE INDEX ON @.performances (starts_at, performance_id);
CREATE INDEX ON @.performances (show_id, starts_at, performance_id);
CREATE INDEX ON @.performances (venue_id, starts_at, performance_id);
CREATE TABLE @.sections (
    performance_id text COLLATE "C" NOT NULL,
    section        text COLLATE "C" NOT NULL,
    grade          text COLLATE "C" NOT NULL,
    seats          int8 NOT NULL,
    held           int8 NOT NULL,
    sold           int8 NOT NULL,
    blocked        int8 NOT NULL,
    PRIMARY KEY (performance_id, section)
) WITH (fillfactor = 50);
