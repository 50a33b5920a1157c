SELECT kind, key, alias, family, version, record, sealed, expires_at FROM @.document WHERE kind = $1 AND alias = $2
