-- $1 partitions, $2 streams
SELECT q.key - 1, s.stream, s.version, s.position, s.schema, s.payload,
       EXISTS (SELECT 1 FROM log.segments g WHERE g.partition = q.partition AND g.stream = q.stream)
  FROM unnest($1::int4[], $2::text[]) WITH ORDINALITY AS q (partition, stream, key)
  LEFT JOIN log.snapshots s ON s.partition = q.partition AND s.stream = q.stream
 WHERE s.stream IS NOT NULL
    OR EXISTS (SELECT 1 FROM log.segments g WHERE g.partition = q.partition AND g.stream = q.stream)
