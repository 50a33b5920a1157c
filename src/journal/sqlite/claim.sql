-- Every older writer is fenced from here on. $1 node
UPDATE partitions SET epoch = epoch + 1, owner = $1
