-- Every older writer is fenced from here on. $1 owner
UPDATE log.partitions p SET epoch = p.epoch + 1, owner = $1
  FROM (SELECT partition FROM log.partitions ORDER BY partition FOR UPDATE) AS locked
 WHERE p.partition = locked.partition
