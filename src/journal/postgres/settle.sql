-- Waits for whoever has the row. $1 partition, $2 epoch, $3 node
UPDATE log.partitions SET epoch = epoch + 1 WHERE partition = $1 AND epoch = $2 AND owner = $3
