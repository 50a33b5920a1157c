-- $1 partition, $2 stream
DELETE FROM timers WHERE partition = $1 AND stream = $2
