DELETE FROM @.trail WHERE seq IN (SELECT seq FROM @.trail WHERE at < $1 LIMIT $2)
