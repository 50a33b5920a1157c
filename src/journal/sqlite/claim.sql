-- Every older writer is fenced from here on. $1 owner
UPDATE partitions SET epoch = epoch + 1, owner = $1
