-- $1 partition
SELECT stream, due FROM log.timers WHERE partition = $1 ORDER BY due, stream
