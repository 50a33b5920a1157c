SELECT partitions, format_level FROM log.meta
