-- One look into the index per stream, whatever the planner believes about the table.
-- $1 partitions, $2 streams, $3 versions after which to read, $4 how many of each
SELECT e.*, q.key - 1
  FROM unnest($1::int4[], $2::text[], $3::int8[]) WITH ORDINALITY AS q (partition, stream, after, key)
 CROSS JOIN LATERAL (
    SELECT partition, position, stream, version, kind, schema, codec, event_id, command, correlation, causation,
       principal, owner, epoch, node, at, recorded_at, unit_last, chain, payload
      FROM log.events
     WHERE partition = q.partition AND stream = q.stream AND version > q.after
     ORDER BY version
     LIMIT $4
 ) AS e
 ORDER BY q.key, e.version
