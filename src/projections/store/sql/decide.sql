-- $1 projection, $2 partition, $3 position, $4 key, $5 action, $6 reason, $7 command, $8 actor, $9 decided_at
INSERT INTO @.decisions (projection, partition, position, key, action, reason, command, actor, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (command) DO NOTHING
