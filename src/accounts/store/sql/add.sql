INSERT INTO @.document (kind, key, alias, family, version, record, sealed, expires_at) VALUES ($1, $2, $3, $4, 1, $5, $6, $7)
ON CONFLICT (kind, key) DO NOTHING
