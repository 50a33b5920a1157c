-- $1 build, $2 projection
SELECT version, purpose FROM @.builds WHERE build = $1 AND projection = $2
