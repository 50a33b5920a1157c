-- Venues by name. Text has the byte order of collation "C", so that both engines order alike.
CREATE TABLE @.venues (
    venue_id    text COLLATE "C" NOT NULL,
    owner       text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    name_folded text COLLATE "C" NOT NULL,
    timezone    text COLLATE "C" NOT NULL,
    seats       int8 NOT NULL,
    created_at  int8 NOT NULL,
    position    text COLLATE "C" NOT NULL,
    PRIMARY KEY (venue_id)
);
CREATE INDEX ON @.venues (name_folded, venue_id);
