-- Roles belong to all databases of the server: somebody may just be making the same one for another.
DO $$ BEGIN
    EXECUTE format('CREATE ROLE %I LOGIN', current_setting('onsale.server_role'));
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
