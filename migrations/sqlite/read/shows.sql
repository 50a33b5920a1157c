-- Shows by the days of their run.
CREATE TABLE shows (
    show_id      TEXT NOT NULL,
    owner        TEXT NOT NULL,
    title        TEXT NOT NULL,
    title_folded TEXT NOT NULL,
    category     TEXT NOT NULL,
    description  TEXT NOT NULL,
    place        TEXT NOT NULL,
    starts_on    TEXT NOT NULL,
    ends_on      TEXT NOT NULL,
    position     TEXT NOT NULL,
    PRIMARY KEY (show_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX shows_by_start ON shows (starts_on, show_id);
CREATE INDEX shows_by_category ON shows (category, starts_on, show_id);
