-- What is stored is the verifier; the password itself never comes here.
DO $$ BEGIN
    EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L',
                   current_setting('onsale.server_role'), current_setting('onsale.server_verifier'));
END $$
