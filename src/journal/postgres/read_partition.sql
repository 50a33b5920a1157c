-- $1 partition, $2 after position, $3 limit
SELECT partition, position, stream, version, kind, schema, codec, event_id, command, correlation, causation,
       principal, owner, epoch, node, at, recorded_at, unit_last, chain, payload
  FROM log.events WHERE partition = $1 AND position > $2
 ORDER BY position LIMIT $3
