-- Could whoever is connected change what has happened? Its name, and why; the first reason is enough. A session may go
-- back to the role that it logged in with, so that is the one in question.
SELECT session_user::text, CASE
           WHEN r.rolsuper THEN 'is a superuser'
           WHEN pg_has_role(session_user, c.relowner, 'MEMBER') THEN 'owns log.events, or may become its owner'
           WHEN pg_has_role(session_user, n.nspowner, 'MEMBER') THEN 'owns schema log, or may become its owner'
           WHEN pg_has_role(session_user, d.datdba, 'MEMBER') THEN 'owns the database, or may become its owner'
           WHEN r.rolcreaterole AND current_setting('server_version_num')::int < 160000
               THEN 'may make itself the owner of log.events (CREATEROLE)'
           WHEN has_any_column_privilege(session_user, c.oid, 'UPDATE')
             OR has_table_privilege(session_user, c.oid, 'DELETE, TRUNCATE, TRIGGER')
               THEN 'has UPDATE, DELETE, TRUNCATE or TRIGGER on log.events'
       END
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_roles r ON r.rolname = session_user
  JOIN pg_database d ON d.datname = current_database()
 WHERE c.oid = to_regclass('log.events')
