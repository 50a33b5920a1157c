-- $1 partition, $2 prefix, $3 first text after the prefix or NULL, $4 up to position
SELECT DISTINCT ON (stream)
       partition, position, stream, version, kind, schema, codec, event_id, command, correlation, causation,
       principal, owner, epoch, node, at, recorded_at, unit_last, chain, payload
  FROM log.events
 WHERE partition = $1 AND stream >= $2 AND ($3::text IS NULL OR stream < $3::text) AND position <= $4
 ORDER BY stream, version DESC
