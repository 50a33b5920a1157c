-- $1 build
DELETE FROM @.builds WHERE build = $1
