-- $1 partitions
INSERT INTO log.partitions (partition) SELECT generate_series(0, $1::int4 - 1)
