-- $1 node, $2 session, $3 milliseconds of lease
UPDATE log.nodes SET expires_at = clock_timestamp() + $3 * interval '1 millisecond'
 WHERE node = $1 AND session = $2 AND NOT released
RETURNING clock_timestamp()
