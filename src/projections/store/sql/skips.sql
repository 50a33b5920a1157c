-- $1 projection
SELECT partition, position FROM @.skips WHERE projection = $1 ORDER BY partition, position
