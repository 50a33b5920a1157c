SELECT partition, head FROM log.partitions ORDER BY partition
