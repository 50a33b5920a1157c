INSERT INTO @.trail (at, kind, account, actor, origin, detail) VALUES ($1, $2, $3, $4, $5, $6)
