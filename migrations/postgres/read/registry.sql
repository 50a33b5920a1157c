-- Which builds of read models there are, and what operators decided about events that could not be applied.
CREATE TABLE IF NOT EXISTS @.counter (
    one  int4 PRIMARY KEY CHECK (one = 1),
    next int8 NOT NULL
);
INSERT INTO @.counter (one, next) VALUES (1, 1) ON CONFLICT (one) DO NOTHING;
CREATE TABLE IF NOT EXISTS @.builds (
    build      int8 PRIMARY KEY,
    projection text COLLATE "C" NOT NULL,
    version    int8 NOT NULL,
    purpose    text NOT NULL CHECK (purpose IN ('serve', 'past')),
    state      text NOT NULL CHECK (state IN ('making', 'active', 'retired')),
    retired_at int8
);
CREATE UNIQUE INDEX IF NOT EXISTS builds_one_active ON @.builds (projection) WHERE state = 'active';
CREATE TABLE IF NOT EXISTS @.decisions (
    id         int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection text COLLATE "C" NOT NULL,
    partition  int8 NOT NULL,
    position   int8 NOT NULL,
    key        text COLLATE "C" NOT NULL,
    action     text NOT NULL CHECK (action IN ('retry', 'skip')),
    reason     text NOT NULL,
    command    text COLLATE "C" NOT NULL UNIQUE,
    actor      text NOT NULL,
    decided_at int8 NOT NULL,
    outcome    text
);
CREATE INDEX IF NOT EXISTS decisions_undone ON @.decisions (id) WHERE outcome IS NULL;
CREATE TABLE IF NOT EXISTS @.skips (
    projection text COLLATE "C" NOT NULL,
    partition  int8 NOT NULL,
    position   int8 NOT NULL,
    PRIMARY KEY (projection, partition, position)
);
