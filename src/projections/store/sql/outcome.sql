-- $1 outcome, $2 id
UPDATE @.decisions SET outcome = $1 WHERE id = $2
