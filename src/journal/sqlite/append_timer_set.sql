-- $1 partition, $2 stream, $3 due
INSERT INTO timers (partition, stream, due) VALUES ($1, $2, $3)
ON CONFLICT (partition, stream) DO UPDATE SET due = excluded.due
