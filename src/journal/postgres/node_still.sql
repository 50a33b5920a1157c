-- Ends the session that has the lock if nothing was heard on it for so long: heartbeats come on it every second, so its
-- process stands still. $1 lock, $2 milliseconds
SELECT count(pg_terminate_backend(l.pid))
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = a.datid
   AND (l.classid::bigint << 32 | l.objid::bigint) = $1
   AND greatest(a.backend_start, a.query_start, a.state_change) < clock_timestamp() - $2 * interval '1 millisecond'
