-- $1 partition
SELECT stream, due FROM timers WHERE partition = $1 ORDER BY due, stream
