-- Any commit will do: it is written to the disk, and with it all commits before it.
UPDATE @.runner SET epoch = epoch
