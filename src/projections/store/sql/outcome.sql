-- $1 outcome, $2 id. The first outcome stays: a decision that was handed out twice has done its work once.
UPDATE @.decisions SET outcome = $1 WHERE id = $2 AND outcome IS NULL
