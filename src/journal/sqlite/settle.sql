-- An earlier try whose answer was lost may have raised the epoch. $1 partition, $2 epoch, $3 owner
UPDATE partitions SET epoch = epoch + 1 WHERE partition = $1 AND epoch >= $2 AND owner = $3
