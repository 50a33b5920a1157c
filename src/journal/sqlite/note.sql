-- $1 event id
SELECT text FROM notes WHERE event_id = $1
