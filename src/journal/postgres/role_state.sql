-- Who migrates, and does the server's role exist? $1 the server's role
SELECT session_user::text,
       EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
       (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = session_user)
