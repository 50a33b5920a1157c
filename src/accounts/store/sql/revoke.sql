INSERT INTO @.revoked (credential, at, until, noted_at) VALUES ($1, $2, $3, @now)
ON CONFLICT (credential) DO UPDATE SET at = excluded.at, until = excluded.until, noted_at = excluded.noted_at
WHERE excluded.at > revoked.at
