-- $1 partition
INSERT INTO partitions (partition) VALUES ($1)
