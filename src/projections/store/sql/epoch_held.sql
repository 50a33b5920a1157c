-- $1 epoch. Writes the row although nothing changes: who takes the build over waits for this transaction, or this one
-- waits and then finds no row.
UPDATE @.runner SET epoch = epoch WHERE epoch = $1
