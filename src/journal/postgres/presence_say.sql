-- What a node says of its displays, in place of what it said before; rows of nodes that are long gone are swept by the way.
-- $1 node, $2 displays, $3 milliseconds after which a silent node is gone
WITH swept AS (DELETE FROM log.presence WHERE node <> $1 AND said_at < now() - $3 * interval '1 millisecond')
INSERT INTO log.presence (node, said_at, displays) VALUES ($1, now(), $2::jsonb)
ON CONFLICT (node) DO UPDATE SET said_at = excluded.said_at, displays = excluded.displays
