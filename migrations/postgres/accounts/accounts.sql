-- Who people are. Erasable, unlike the log: nothing here is needed to replay it. What is personal is sealed.
CREATE TABLE IF NOT EXISTS accounts.document (
    kind       TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    -- Another name, unique within its kind: the keyed hash of an e-mail address.
    alias      TEXT,
    -- What it belongs to: the account of a session, the store of a device.
    family     TEXT,
    -- Changes are conditional on it, so that of two writers one is told.
    version    BIGINT NOT NULL,
    record     TEXT   NOT NULL,
    sealed     TEXT,
    -- Milliseconds since 1970; may be swept away from then on.
    expires_at BIGINT,
    PRIMARY KEY (kind, key)
);
CREATE UNIQUE INDEX IF NOT EXISTS document_alias ON accounts.document (kind, alias) WHERE alias IS NOT NULL;
CREATE INDEX IF NOT EXISTS document_family ON accounts.document (kind, family, key) WHERE family IS NOT NULL;
CREATE INDEX IF NOT EXISTS document_expires ON accounts.document (expires_at) WHERE expires_at IS NOT NULL;

-- Credentials that are good no more, though they look so.
CREATE TABLE IF NOT EXISTS accounts.revoked (
    credential TEXT   PRIMARY KEY,
    -- What was signed until then is revoked.
    at         BIGINT NOT NULL,
    until      BIGINT,
    -- By the clock of the database, which all nodes share.
    noted_at   BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS revoked_noted_at ON accounts.revoked (noted_at);

-- What happened to whose account: the audit trail of security.
CREATE TABLE IF NOT EXISTS accounts.trail (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    account TEXT,
    actor   TEXT,
    origin  TEXT,
    detail  TEXT
);
CREATE INDEX IF NOT EXISTS trail_account ON accounts.trail (account, seq);
CREATE INDEX IF NOT EXISTS trail_at ON accounts.trail (at);
