-- Which of these streams have any event. $1 partitions, $2 streams
SELECT q.key - 1
  FROM unnest($1::int4[], $2::text[]) WITH ORDINALITY AS q (partition, stream, key)
 WHERE EXISTS (SELECT 1 FROM log.events e WHERE e.partition = q.partition AND e.stream = q.stream)
