-- The displays of a store on other nodes. $1 node, $2 store, $3 milliseconds for which a word counts, $4 limit
SELECT p.node, d.value ->> 'account', d.value ->> 'role', (d.value ->> 'connected_at')::int8, d.value ->> 'position'
  FROM log.presence p, jsonb_array_elements(p.displays) WITH ORDINALITY d
 WHERE p.node <> $1 AND p.said_at > now() - $3 * interval '1 millisecond' AND d.value ->> 'store' = $2
 ORDER BY p.node, d.ordinality LIMIT $4
