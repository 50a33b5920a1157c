-- Who took the partitions last.
SELECT node, since FROM nodes WHERE released = 0 ORDER BY since DESC LIMIT 1
