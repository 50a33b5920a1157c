-- $1 projection, $2 partition, $3 position
INSERT INTO @.skips (projection, partition, position) VALUES ($1, $2, $3)
ON CONFLICT (projection, partition, position) DO NOTHING
