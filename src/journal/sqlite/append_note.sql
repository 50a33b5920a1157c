-- $1 event id, $2 text
INSERT INTO notes (event_id, text) VALUES ($1, $2)
