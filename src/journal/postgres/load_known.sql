-- Which of these streams have any event: one look into the index per stream, whatever the planner believes about the table.
-- $1 partitions, $2 streams
SELECT q.key - 1
  FROM unnest($1::int4[], $2::text[]) WITH ORDINALITY AS q (partition, stream, key)
 CROSS JOIN LATERAL (
    SELECT FROM log.events WHERE partition = q.partition AND stream = q.stream ORDER BY version LIMIT 1
 ) AS e
