-- $1 node, $2 session, $3 now, $4 expires at
INSERT INTO nodes (node, session, since, expires_at, released) VALUES ($1, $2, $3, $4, 0)
ON CONFLICT (node) DO UPDATE
   SET session = excluded.session, since = excluded.since, expires_at = excluded.expires_at, released = 0
