-- What every build has besides its own tables: where it stands, what waits, and who writes.
CREATE TABLE @.cursors (
    partition int8 PRIMARY KEY,
    position  int8 NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE @.parked (
    partition int8 NOT NULL,
    position  int8 NOT NULL,
    key       text COLLATE "C" NOT NULL,
    error     text NOT NULL,
    since     int8 NOT NULL,
    PRIMARY KEY (partition, position)
);
CREATE INDEX ON @.parked (key, partition, position);
CREATE TABLE @.runner (
    one   int4 PRIMARY KEY CHECK (one = 1),
    epoch int8 NOT NULL
);
INSERT INTO @.runner (one, epoch) VALUES (1, 0);
