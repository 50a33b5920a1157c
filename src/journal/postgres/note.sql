-- $1 event id
SELECT text FROM log.notes WHERE event_id = $1
