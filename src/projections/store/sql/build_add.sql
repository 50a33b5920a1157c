-- $1 build, $2 projection, $3 version, $4 purpose
INSERT INTO @.builds (build, projection, version, purpose, state) VALUES ($1, $2, $3, $4, 'making')
