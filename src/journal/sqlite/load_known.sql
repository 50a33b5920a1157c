-- Which of these streams have any event. $1 JSON array of [partition, stream]
SELECT q.key
  FROM json_each($1) AS q
 WHERE EXISTS (SELECT 1 FROM events AS e
                WHERE e.partition = json_extract(q.value, '$[0]') AND e.stream = json_extract(q.value, '$[1]'))
