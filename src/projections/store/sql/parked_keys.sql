-- $1 partition and $2 position after which, $3 limit. Goes from key to key by the index: a key may have a million events.
WITH RECURSIVE k (key) AS (
    SELECT MIN(key) FROM @.parked
    UNION ALL
    SELECT (SELECT MIN(n.key) FROM @.parked AS n WHERE n.key > k.key) FROM k WHERE k.key IS NOT NULL
)
SELECT f.partition, f.position, f.key, f.error, f.since,
    (SELECT COUNT(*) FROM @.parked AS all_of WHERE all_of.key = f.key)
FROM k JOIN @.parked AS f ON f.key = k.key
    AND f.partition = (SELECT p.partition FROM @.parked AS p WHERE p.key = k.key ORDER BY p.partition, p.position LIMIT 1)
    AND f.position = (SELECT p.position FROM @.parked AS p WHERE p.key = k.key ORDER BY p.partition, p.position LIMIT 1)
WHERE (f.partition, f.position) > ($1, $2)
ORDER BY f.partition, f.position LIMIT $3
