-- $1 node, $2 session
UPDATE nodes SET released = 1 WHERE node = $1 AND session = $2
