-- From key to key by the index: a key may have a million events.
WITH RECURSIVE k (key) AS (
    SELECT MIN(key) FROM @.parked
    UNION ALL
    SELECT (SELECT MIN(n.key) FROM @.parked AS n WHERE n.key > k.key) FROM k WHERE k.key IS NOT NULL
)
SELECT key FROM k WHERE key IS NOT NULL ORDER BY key
