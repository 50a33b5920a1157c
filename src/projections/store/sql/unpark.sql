-- $1 partition, $2 position
DELETE FROM @.parked WHERE partition = $1 AND position = $2
