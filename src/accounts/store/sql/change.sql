UPDATE @.document SET alias = $3, family = $4, version = version + 1, record = $5, sealed = $6, expires_at = $7
WHERE kind = $1 AND key = $2 AND version = $8
