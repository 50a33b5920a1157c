-- $1 partitions, $2 streams
SELECT q.key - 1, s.stream, s.version, s.position, s.schema, s.payload
  FROM unnest($1::int4[], $2::text[]) WITH ORDINALITY AS q (partition, stream, key)
  JOIN log.snapshots s ON s.partition = q.partition AND s.stream = q.stream
