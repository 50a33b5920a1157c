-- Leases of others; their renewals wait until we have decided. $1 session
SELECT node, since, session, expires_at FROM log.nodes WHERE session <> $1 AND NOT released FOR UPDATE
