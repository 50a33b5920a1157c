-- $1 node, $2 session, $3 milliseconds of lease
INSERT INTO log.nodes (node, session, since, expires_at, released)
VALUES ($1, $2, clock_timestamp(), clock_timestamp() + $3 * interval '1 millisecond', false)
ON CONFLICT (node) DO UPDATE
   SET session = excluded.session, since = excluded.since, expires_at = excluded.expires_at, released = false
RETURNING since
