-- $1 now, $2 projection, $3 build
UPDATE @.builds SET state = 'retired', retired_at = $1 WHERE projection = $2 AND build = $3 AND state = 'active'
