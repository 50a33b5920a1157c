-- $1 JSON array of [partition, stream]
SELECT q.key, s.stream, s.version, s.position, s.schema, s.payload
  FROM json_each($1) AS q CROSS JOIN snapshots AS s
 WHERE s.partition = json_extract(q.value, '$[0]') AND s.stream = json_extract(q.value, '$[1]')
