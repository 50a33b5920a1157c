SELECT kind, key, alias, family, version, record, sealed, expires_at FROM @.document
WHERE kind = $1 AND family = $2 AND key > $3 ORDER BY key LIMIT $4
