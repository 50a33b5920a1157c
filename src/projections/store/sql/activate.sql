-- $1 projection, $2 build. Fails where another one is active: there is a unique index.
UPDATE @.builds SET state = 'active' WHERE projection = $1 AND build = $2 AND state = 'making'
