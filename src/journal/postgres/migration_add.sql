-- $1 number
INSERT INTO log.migrations (number) VALUES ($1)
