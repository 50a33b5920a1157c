-- $1 partition and $2 position after which, $3 limit. Only the first event of a key has an error.
SELECT f.partition, f.position, f.key, f.error, f.since,
    (SELECT COUNT(*) FROM @.parked AS all_of WHERE all_of.key = f.key)
FROM @.parked AS f
WHERE (f.partition, f.position) > ($1, $2)
    AND NOT EXISTS (SELECT 1 FROM @.parked AS e WHERE e.key = f.key AND (e.partition, e.position) < (f.partition, f.position))
ORDER BY f.partition, f.position LIMIT $3
