-- $1 kind, $2 version, $3 partition, $4 position
INSERT INTO kinds (kind, version, first_partition, first_position) VALUES ($1, $2, $3, $4)
ON CONFLICT (kind, version) DO NOTHING
