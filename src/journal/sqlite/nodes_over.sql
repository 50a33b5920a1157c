-- Ends all other leases. $1 node
UPDATE nodes SET released = 1 WHERE node <> $1
