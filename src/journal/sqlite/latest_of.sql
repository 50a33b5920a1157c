-- $1 partition, $2 prefix, $3 first text after the prefix or NULL, $4 up to position
SELECT e.partition, e.position, e.stream, e.version, e.kind, e.schema, e.codec, e.event_id, e.command, e.correlation, e.causation,
       e.principal, e.owner, e.epoch, e.node, e.at, e.recorded_at, e.unit_last, e.chain, e.payload
  FROM (SELECT stream, max(version) AS version FROM events
         WHERE partition = $1 AND stream >= $2 AND ($3 IS NULL OR stream < $3) AND position <= $4
         GROUP BY stream) AS newest
  CROSS JOIN events AS e
 WHERE e.partition = $1 AND e.stream = newest.stream AND e.version = newest.version
 ORDER BY e.stream
