-- $1 partition, $2 last name before, $3 how many. From one name to the next through the index: a stream may have a million rows.
WITH RECURSIVE names (stream, n) AS (
    SELECT (SELECT stream FROM events WHERE partition = $1 AND stream > $2 ORDER BY stream LIMIT 1), 1
    UNION ALL
    SELECT (SELECT e.stream FROM events AS e WHERE e.partition = $1 AND e.stream > names.stream ORDER BY e.stream LIMIT 1), n + 1
      FROM names
     WHERE n < $3 AND names.stream IS NOT NULL
)
SELECT stream FROM names WHERE stream IS NOT NULL ORDER BY stream
