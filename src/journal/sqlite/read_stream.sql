-- $1 partition, $2 stream, $3 after version, $4 limit
SELECT partition, position, stream, version, kind, schema, codec, event_id, command, correlation, causation,
       principal, owner, epoch, node, at, recorded_at, unit_last, chain, payload
  FROM events WHERE partition = $1 AND stream = $2 AND version > $3
 ORDER BY version LIMIT $4
