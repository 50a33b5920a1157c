SELECT credential, at, until, noted_at FROM @.revoked WHERE noted_at >= $1 ORDER BY noted_at, credential
