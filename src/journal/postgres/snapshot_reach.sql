-- $1 partition, $2 stream, $3 schema
SELECT (SELECT version FROM log.snapshots WHERE partition = $1 AND stream = $2 AND schema = $3),
       (SELECT version FROM log.segments WHERE partition = $1 AND stream = $2 AND schema = $3 ORDER BY after DESC LIMIT 1)
