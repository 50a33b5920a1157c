-- Leases of others that are still good; their renewals wait until we have decided. $1 session
SELECT node, since FROM log.nodes
 WHERE session <> $1 AND NOT released AND expires_at > clock_timestamp()
   FOR UPDATE
