-- The log. Text that is searched by prefix has the byte order of collation "C", so that both engines order alike.
CREATE TABLE log.events (
    partition   int4        NOT NULL,
    position    int8        NOT NULL CHECK (position > 0),
    stream      text        COLLATE "C" NOT NULL,
    version     int8        NOT NULL CHECK (version > 0),
    kind        text        NOT NULL,
    schema      int2        NOT NULL,
    codec       int2        NOT NULL,
    event_id    uuid        NOT NULL,
    command     bytea       NOT NULL,
    correlation uuid        NOT NULL,
    causation   uuid,
    principal   text        NOT NULL,
    owner       text,
    epoch       int8        NOT NULL,
    node        text        NOT NULL,
    at          timestamptz NOT NULL, -- whole milliseconds, as recorded_at
    recorded_at timestamptz NOT NULL,
    unit_last   bool        NOT NULL,
    chain       bytea       NOT NULL CHECK (length(chain) = 32),
    payload     bytea       NOT NULL,
    PRIMARY KEY (partition, position),
    CONSTRAINT events_stream_version UNIQUE (partition, stream, version)
) WITH (fillfactor = 100, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
-- Payloads are dense already; large ones go out of line as they are, small ones stay in the row.
ALTER TABLE log.events ALTER COLUMN payload SET STORAGE EXTERNAL;

-- History is not edited, whoever asks.
CREATE FUNCTION log.refuse_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is never edited: % of events is refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER events_no_edit BEFORE UPDATE OR DELETE ON log.events
    FOR EACH ROW EXECUTE FUNCTION log.refuse_edit();
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON log.events
    FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_edit();
-- Fires for replication sessions too: nobody switches it off by accident.
ALTER TABLE log.events ENABLE ALWAYS TRIGGER events_no_edit;
ALTER TABLE log.events ENABLE ALWAYS TRIGGER events_no_truncate;

-- One row per partition, updated by every append: room for new row versions in the page, and prompt cleaning.
CREATE TABLE log.partitions (
    partition int4 PRIMARY KEY,
    head      int8 NOT NULL DEFAULT 0,
    epoch     int8 NOT NULL DEFAULT 0,
    owner     text
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0,
        autovacuum_analyze_threshold = 10000, autovacuum_analyze_scale_factor = 0);

CREATE TABLE log.timers (
    partition int4        NOT NULL,
    stream    text        COLLATE "C" NOT NULL,
    due       timestamptz NOT NULL,
    PRIMARY KEY (partition, stream)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.05);

-- Which kinds and versions the log holds, and since when: a build that does not know one refuses at start.
CREATE TABLE log.kinds (
    kind            text NOT NULL,
    version         int2 NOT NULL,
    first_partition int4 NOT NULL,
    first_position  int8 NOT NULL,
    PRIMARY KEY (kind, version)
);

CREATE TABLE log.snapshots (
    partition int4  NOT NULL,
    stream    text  COLLATE "C" NOT NULL,
    version   int8  NOT NULL,
    position  int8  NOT NULL,
    schema    int2  NOT NULL,
    payload   bytea NOT NULL,
    PRIMARY KEY (partition, stream)
) WITH (fillfactor = 70);
ALTER TABLE log.snapshots ALTER COLUMN payload SET STORAGE EXTERNAL;

-- Free text of people, by event: erasable, therefore not in the log.
CREATE TABLE log.notes (
    event_id uuid PRIMARY KEY,
    text     text NOT NULL
);

CREATE TABLE log.nodes (
    node       text        PRIMARY KEY,
    session    uuid        NOT NULL,
    since      timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    released   bool        NOT NULL DEFAULT false
) WITH (fillfactor = 50);

CREATE TABLE log.meta (
    one          int4 PRIMARY KEY CHECK (one = 1),
    partitions   int4 NOT NULL,
    format_level int4 NOT NULL
);
