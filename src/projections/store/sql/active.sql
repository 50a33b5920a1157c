-- $1 projection
SELECT build FROM @.builds WHERE projection = $1 AND state = 'active'
