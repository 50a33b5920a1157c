SELECT partitions, format_level FROM meta
