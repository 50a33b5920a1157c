-- $1 partition, $2 stream, $3 version, $4 position, $5 schema, $6 payload
INSERT INTO log.snapshots AS old (partition, stream, version, position, schema, payload) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (partition, stream) DO UPDATE
   SET version = excluded.version, position = excluded.position, schema = excluded.schema, payload = excluded.payload
 WHERE excluded.version >= old.version
