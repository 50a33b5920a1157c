-- $1 projection, $2 moment: builds that were never used, and those that have been out of use since before it
SELECT build, purpose FROM @.builds
WHERE projection = $1 AND purpose = 'serve' AND (state = 'making' OR (state = 'retired' AND retired_at <= $2))
