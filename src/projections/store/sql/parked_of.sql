-- $1 key, $2 limit
SELECT partition, position, key, error, since FROM @.parked WHERE key = $1 ORDER BY partition, position LIMIT $2
