-- $1 node, $2 session
UPDATE log.nodes SET released = true WHERE node = $1 AND session = $2
