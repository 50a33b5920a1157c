-- Leases of others, and whether the database's clock takes them for over; their renewals wait until we have decided. $1 session
SELECT node, since, session, expires_at, expires_at <= clock_timestamp() FROM log.nodes
 WHERE session <> $1 AND NOT released
   FOR UPDATE
