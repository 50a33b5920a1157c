-- The head of a partition, if it is as the writer believes. $1 partition, $2 epoch, $3 head
SELECT 1 FROM partitions WHERE partition = $1 AND epoch = $2 AND head = $3
