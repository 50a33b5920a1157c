-- Each partition with its last record. $1 partition, or NULL for all
SELECT p.partition, p.epoch, p.head, e.at, e.chain, e.event_id
  FROM partitions p LEFT JOIN events e ON e.partition = p.partition AND e.position = p.head
 WHERE $1 IS NULL OR p.partition = $1
 ORDER BY p.partition
