-- Leases of others, and whether the database's clock takes them for good; their renewals wait until we have decided. A node of
-- which no connection is left, not even one for reading, has ended: nobody needs to wait for its lease. $1 session
SELECT node, since, session, expires_at, expires_at > clock_timestamp() FROM log.nodes
 WHERE session <> $1 AND NOT released
   AND EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'onsale ' || nodes.session)
   FOR UPDATE
