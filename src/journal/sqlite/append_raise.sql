-- $1 partition, $2 new head
UPDATE partitions SET head = $2 WHERE partition = $1
