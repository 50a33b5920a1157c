SELECT kind, key, alias, family, version, record, sealed, expires_at FROM @.document
WHERE kind = $1 AND key > $2 ORDER BY key LIMIT $3
