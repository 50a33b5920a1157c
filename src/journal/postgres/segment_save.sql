-- $1 partition, $2 stream, $3 schema, $4 after, $5 version, $6 position, $7 payload
INSERT INTO log.segments (partition, stream, schema, after, version, position, payload) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (partition, stream, schema, after) DO NOTHING
