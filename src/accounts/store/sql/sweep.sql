DELETE FROM @.document WHERE (kind, key) IN (SELECT kind, key FROM @.document WHERE expires_at < $1 LIMIT $2)
