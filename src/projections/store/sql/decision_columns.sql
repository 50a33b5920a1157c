SELECT id, projection, partition, position, key, action, reason, command, actor, decided_at, outcome FROM @.decisions
