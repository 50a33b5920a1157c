SELECT seq, at, kind, account, actor, origin, detail FROM @.trail WHERE seq < $1 ORDER BY seq DESC LIMIT $2
