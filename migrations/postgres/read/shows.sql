-- Shows by the days of their run. Text has the byte order of collation "C", so that both engines order alike.
CREATE TABLE @.shows (
    show_id      text COLLATE "C" NOT NULL,
    owner        text COLLATE "C" NOT NULL,
    title        text COLLATE "C" NOT NULL,
    title_folded text COLLATE "C" NOT NULL,
    category     text COLLATE "C" NOT NULL,
    description  text COLLATE "C" NOT NULL,
    place        text COLLATE "C" NOT NULL,
    starts_on    text COLLATE "C" NOT NULL,
    ends_on      text COLLATE "C" NOT NULL,
    position     text COLLATE "C" NOT NULL,
    PRIMARY KEY (show_id)
);
CREATE INDEX ON @.shows (starts_on, show_id);
CREATE INDEX ON @.shows (category, starts_on, show_id);
