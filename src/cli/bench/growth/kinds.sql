-- The kinds of fillers: $1 names, $2 versions, $3 a partition that gets them, $4 its head before
INSERT INTO log.kinds (kind, version, first_partition, first_position)
SELECT kind, version, $3, $4 + 1 FROM unnest($1::text[], $2::int2[]) AS k (kind, version)
ON CONFLICT (kind, version) DO NOTHING
