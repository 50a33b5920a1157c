-- Everything that the server's role may do in this database. Given anew by every migration: no table is forgotten, and
-- what it was given once and needs no more does not stay. History belongs to who migrates; the server adds to it and
-- reads it. Its read models and accounts are its own, and so are the schemas that it makes for them.
DO $$
DECLARE
    server    name := current_setting('onsale.server_role');
    server_is oid  := (SELECT oid FROM pg_roles WHERE rolname = server);
    me        name := session_user;
    log_owner oid  := (SELECT nspowner FROM pg_namespace WHERE nspname = 'log');
    may_be    text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END;
    lent      bool := false;
    given     record;
    change    text;
BEGIN
    -- Things can be handed over to a role only by who could be that role.
    IF NOT pg_has_role(me, server, may_be) THEN
        BEGIN
            EXECUTE format('GRANT %I TO %I', server, me);
            lent := true;
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END IF;

    BEGIN
        EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO %I', current_database(), server);
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END;
    -- Without the right to give it, GRANT only warns.
    IF NOT has_database_privilege(server, current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'it must be able to make schemas; let the owner of the database run: GRANT CREATE ON DATABASE % TO %',
            current_database(), server USING ERRCODE = 'insufficient_privilege';
    END IF;

    BEGIN
        IF pg_has_role(me, server, may_be) THEN
            EXECUTE format('CREATE SCHEMA IF NOT EXISTS read AUTHORIZATION %I', server);
            EXECUTE format('CREATE SCHEMA IF NOT EXISTS accounts AUTHORIZATION %I', server);
        END IF;
        -- A database of the time when one role did everything. What others have put there stays theirs.
        FOR change IN
            WITH room AS (
                SELECT oid, nspname, nspowner, nspname = 'log' AS history FROM pg_namespace
                 WHERE nspname IN ('log', 'read', 'accounts') OR nspname ~ '^read_[a-z_]+_[0-9]+$'
            ), thing AS (
                SELECT format('SCHEMA %I', nspname) AS name, nspowner AS owner, history FROM room
                UNION ALL
                SELECT format('%s %I.%I', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                              nspname, relname), relowner, history
                  FROM pg_class JOIN room ON room.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm')
                UNION ALL
                SELECT format('FUNCTION %s', p.oid::regprocedure), proowner, history
                  FROM pg_proc p JOIN room ON room.oid = pronamespace
            )
            SELECT format('ALTER %s OWNER TO %I', name, CASE WHEN history THEN me ELSE server END) FROM thing
             WHERE CASE WHEN history THEN owner = server_is ELSE owner = log_owner AND owner <> server_is END
        LOOP
            EXECUTE change;
        END LOOP;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE EXCEPTION '%; let an administrator run: GRANT % TO %', SQLERRM, server, me
            USING ERRCODE = 'insufficient_privilege';
    END;

    EXECUTE format('REVOKE ALL ON SCHEMA log FROM %I', server);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA log FROM %I', server);
    EXECUTE format('GRANT USAGE ON SCHEMA log TO %I', server);
    FOR given IN
        SELECT * FROM (VALUES
            ('events',     'SELECT, INSERT'),
            ('kinds',      'SELECT, INSERT'),
            ('meta',       'SELECT'),
            ('migrations', 'SELECT'),
            ('nodes',      'SELECT, INSERT, UPDATE'),
            ('notes',      'SELECT, INSERT'),
            ('partitions', 'SELECT, UPDATE'),
            ('presence',   'SELECT, INSERT, UPDATE, DELETE'),
            ('segments',   'SELECT, INSERT, DELETE'),
            ('snapshots',  'SELECT, INSERT, UPDATE'),
            ('timers',     'SELECT, INSERT, UPDATE, DELETE')
        ) AS list (name, what)
    LOOP
        EXECUTE format('GRANT %s ON log.%I TO %I', given.what, given.name, server);
    END LOOP;

    IF lent THEN
        EXECUTE format('REVOKE %I FROM %I', server, me);
    END IF;
END $$
