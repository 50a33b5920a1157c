-- $1 partition, $2 stream, $3 schema, $4 version up to which a snapshot says it all
DELETE FROM log.segments WHERE partition = $1 AND stream = $2 AND (schema < $3 OR schema = $3 AND version <= $4)
