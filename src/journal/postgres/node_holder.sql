-- Who took the partitions last.
SELECT node, since FROM log.nodes WHERE NOT released ORDER BY since DESC LIMIT 1
