-- Ends all other leases. $1 node
UPDATE log.nodes SET released = true WHERE node <> $1 AND NOT released
