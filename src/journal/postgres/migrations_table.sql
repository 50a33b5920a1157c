CREATE SCHEMA IF NOT EXISTS log;
CREATE TABLE IF NOT EXISTS log.migrations (
    number     int8        PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
)
