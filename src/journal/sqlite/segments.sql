-- $1 partition, $2 stream, $3 schema, $4 version from which on, $5 limit
SELECT after, version, position, payload FROM segments
 WHERE partition = $1 AND stream = $2 AND schema = $3 AND after >= $4
 ORDER BY after LIMIT $5
