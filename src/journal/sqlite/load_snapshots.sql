-- $1 JSON array of [partition, stream]
SELECT q.key, s.stream, s.version, s.position, s.schema, s.payload,
       EXISTS (SELECT 1 FROM segments AS g
                WHERE g.partition = json_extract(q.value, '$[0]') AND g.stream = json_extract(q.value, '$[1]')) AS pieces
  FROM json_each($1) AS q
  LEFT JOIN snapshots AS s ON s.partition = json_extract(q.value, '$[0]') AND s.stream = json_extract(q.value, '$[1]')
 WHERE s.stream IS NOT NULL OR pieces
