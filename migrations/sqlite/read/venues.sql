-- Venues by name.
CREATE TABLE venues (
    venue_id    TEXT NOT NULL,
    owner       TEXT NOT NULL,
    name        TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    timezone    TEXT NOT NULL,
    seats       INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    position    TEXT NOT NULL,
    PRIMARY KEY (venue_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX venues_by_name ON venues (name_folded, venue_id);
