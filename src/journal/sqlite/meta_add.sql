-- $1 partitions, $2 format level
INSERT INTO meta (one, partitions, format_level) VALUES (1, $1, $2)
