-- For this transaction, so that a name or a verifier is never pasted into a statement. $1 name, $2 value
SELECT set_config($1, $2, true)
