SELECT partition, head FROM partitions ORDER BY partition
