DELETE FROM @.revoked WHERE credential IN (SELECT credential FROM @.revoked WHERE until < $1 LIMIT $2)
