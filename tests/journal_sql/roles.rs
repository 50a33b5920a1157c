//! What may the server's role do to a Postgres, and how does a migration bring that about? Asked of the database itself.

use std::collections::BTreeMap;

use onsale::journal::open::{Migration, OpenError, Options, Role, ServerRole, Target, editor, migrate, open};
use onsale::projections::store;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::sync::atomic::{AtomicU32, Ordering};

use super::support::postgres::{self, Database, PARTITIONS, SERVER_ROLE, with_user};
use super::{batch, node, record, serve, stream};

/// Everything the server's role may do in schema `log`. A table that is missing here fails.
const MAY: &[(&str, &str)] = &[
    ("events", "SELECT INSERT"),
    ("kinds", "SELECT INSERT"),
    ("meta", "SELECT"),
    ("migrations", "SELECT"),
    ("nodes", "SELECT INSERT UPDATE"),
    ("notes", "SELECT INSERT"),
    ("partitions", "SELECT UPDATE"),
    ("presence", "SELECT INSERT UPDATE DELETE"),
    ("segments", "SELECT INSERT DELETE"),
    ("snapshots", "SELECT INSERT UPDATE"),
    ("timers", "SELECT INSERT UPDATE DELETE"),
];

const PRIVILEGES: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];

/// A name that no other test has: roles belong to all databases of a server.
fn fresh(of: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{of}_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn role(name: &str, password: Option<&str>) -> Migration {
    let server = ServerRole { name: name.to_owned(), password: password.map(str::to_owned) };
    Migration { partitions: Some(PARTITIONS), server: Some(server) }
}

const NOBODY: Migration = Migration { partitions: Some(PARTITIONS), server: None };

async fn rows(url: &str, sql: &str) -> Vec<PgRow> {
    let mut conn = PgConnection::connect(url).await.expect("the test server answers");
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut conn).await.expect("a valid statement");
    conn.close().await.expect("the connection closes");
    found
}

/// One column of texts.
async fn texts(url: &str, sql: &str) -> Vec<String> {
    rows(url, sql).await.iter().map(|row| row.get(0)).collect()
}

/// What the database says to a statement: its code, or nothing if it was done.
async fn refused(url: &str, sql: &str) -> Option<String> {
    let mut conn = PgConnection::connect(url).await.expect("the test server answers");
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await;
    let error = done.err()?;
    Some(error.as_database_error().and_then(|e| e.code()).map_or_else(|| error.to_string(), |code| code.to_string()))
}

/// A database of a role that is no superuser; both are new.
async fn owned(attributes: &str) -> (Database, String, String) {
    let database = postgres::empty_database().await;
    let owner = fresh("owner");
    postgres::sql(&database.owner, &format!("CREATE ROLE {owner} LOGIN PASSWORD 'x' {attributes}")).await;
    let name = texts(&database.owner, "SELECT current_database()::text").await.remove(0);
    postgres::sql(&database.owner, &format!("ALTER DATABASE {name} OWNER TO {owner}")).await;
    let url = with_user(&database.owner, &owner, "x");
    (database, owner, url)
}

fn at(url: &str) -> Target {
    Target::Postgres { url: url.to_owned() }
}

async fn give_password(database: &Database, role: &str) -> String {
    postgres::sql(&database.owner, &format!("ALTER ROLE {role} PASSWORD 'x'")).await;
    with_user(&database.owner, role, "x")
}

/// Writes to the log, to a snapshot and to the read models as a node does.
async fn work(url: &str) {
    let journal = serve(&at(url)).await;
    let claim = journal.claim(&node("a")).await.expect("nobody serves it");
    let state = &claim.partitions[0];
    let written = batch(state, vec![vec![record(state, 1, &stream(state.partition, &fresh("s")), 1, true)]]);
    journal.append(&[written]).await.expect("written");
    journal.release(&node("a")).await.expect("given back");
    let store = store::open(&at(url)).await.expect("a store");
    let projection = onsale::projections::ROSTER[0];
    let build = store.create(projection, PARTITIONS, store::Purpose::Serve).await.expect("a build");
    let active = store.registered().await.expect("a list");
    let active = active.iter().find(|one| one.name == projection.name()).map(|one| one.active);
    assert!(store.switch(projection, active, build.id()).await.expect("a switch"));
}

#[tokio::test]
async fn the_role_may_do_what_the_table_says_and_nothing_else() {
    let database = postgres::database().await;
    let each = PRIVILEGES
        .map(|one| format!("CASE WHEN has_table_privilege('{SERVER_ROLE}', c.oid, '{one}') THEN '{one}' END"));
    let sql = format!(
        "SELECT c.relname::text, concat_ws(' ', {}) FROM pg_class c WHERE c.relnamespace = 'log'::regnamespace \
         AND c.relkind NOT IN ('i', 'I', 't', 'c')",
        each.join(", ")
    );
    let found = rows(&database.owner, &sql).await;
    let found: BTreeMap<String, String> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = MAY.iter().map(|(name, may)| ((*name).to_owned(), (*may).to_owned())).collect();
    assert_eq!(found, expected);

    // Not by way of a column, an option to hand on, the schema or another's things, either.
    let columns = "SELECT DISTINCT table_name || ' ' || privilege_type FROM information_schema.column_privileges \
                   WHERE grantee = 'onsale_server' AND table_schema = 'log' AND table_name = 'events' ORDER BY 1";
    assert_eq!(texts(&database.owner, columns).await, ["events INSERT", "events SELECT"]);
    let to_hand_on = "SELECT table_name::text FROM information_schema.role_table_grants \
                      WHERE grantee IN ('onsale_server', 'PUBLIC') AND table_schema = 'log' \
                      AND (is_grantable = 'YES' OR grantee = 'PUBLIC')";
    assert_eq!(texts(&database.owner, to_hand_on).await, [""; 0]);
    let schemas = "SELECT concat_ws(' ', nspname, CASE WHEN has_schema_privilege('onsale_server', oid, 'USAGE') THEN 'U' END, \
                   CASE WHEN has_schema_privilege('onsale_server', oid, 'CREATE') THEN 'C' END, \
                   CASE WHEN nspowner = 'onsale_server'::regrole THEN 'owner' END) FROM pg_namespace \
                   WHERE nspname IN ('log', 'read', 'accounts') ORDER BY nspname";
    assert_eq!(texts(&database.owner, schemas).await, ["accounts U C owner", "log U", "read U C owner"]);
    let itself = "SELECT concat_ws(' ', rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin, \
                  (SELECT count(*) FROM pg_auth_members WHERE member = r.oid)) FROM pg_roles r WHERE rolname = 'onsale_server'";
    assert_eq!(texts(&database.owner, itself).await, ["f f f f f t 0"]);
    database.drop_it().await;
}

#[tokio::test]
async fn the_database_refuses_whatever_edits_history() {
    let database = postgres::database().await;
    work(&database.url).await;
    let owner = texts(&database.owner, "SELECT session_user::text").await.remove(0);
    let before = texts(&database.owner, "SELECT events::text FROM log.events").await;
    assert_eq!(before.len(), 1);
    let tries = [
        "UPDATE log.events SET kind = 'x'",
        "UPDATE log.events SET payload = payload WHERE false",
        "DELETE FROM log.events",
        "TRUNCATE log.events",
        "TRUNCATE log.timers",
        "SELECT FROM log.events FOR UPDATE",
        "INSERT INTO log.events SELECT * FROM log.events ON CONFLICT (partition, position) DO UPDATE SET kind = 'x'",
        "MERGE INTO log.events e USING log.partitions p ON e.partition = p.partition WHEN MATCHED THEN DELETE",
        "DROP TABLE log.events",
        "DROP SCHEMA log CASCADE",
        "DROP TRIGGER events_no_edit ON log.events",
        "ALTER TABLE log.events DISABLE TRIGGER events_no_edit",
        "ALTER TABLE log.events DISABLE TRIGGER ALL",
        "ALTER TABLE log.events OWNER TO onsale_server",
        "ALTER TABLE log.events RENAME TO gone",
        "ALTER TABLE log.events SET SCHEMA read",
        "ALTER TABLE log.events ENABLE ROW LEVEL SECURITY",
        "ALTER SCHEMA log RENAME TO gone",
        "CREATE TABLE log.mine (n int4)",
        "CREATE TRIGGER mine BEFORE INSERT ON log.events FOR EACH ROW EXECUTE FUNCTION log.refuse_edit()",
        "CREATE RULE mine AS ON INSERT TO log.events DO INSTEAD NOTHING",
        "CREATE INDEX ON log.events (kind)",
        "CREATE OR REPLACE FUNCTION log.refuse_edit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "SET session_replication_role = replica",
        "UPDATE log.meta SET partitions = 1",
        "DELETE FROM log.kinds",
        "DELETE FROM log.partitions",
        "INSERT INTO log.migrations (number) VALUES (99)",
        "COPY log.events TO PROGRAM 'true'",
        "SET SESSION AUTHORIZATION 'OWNER'",
        "SET ROLE 'OWNER'",
        "CREATE ROLE mine",
    ];
    for sql in tries {
        let sql = sql.replace("'OWNER'", &owner);
        assert_eq!(refused(&database.url, &sql).await.as_deref(), Some("42501"), "{sql}");
    }
    assert_eq!(texts(&database.owner, "SELECT events::text FROM log.events").await, before);
    work(&database.url).await;
    database.drop_it().await;
}

/// Who owns what, and who may do what with it; roles with what is stored of their passwords.
async fn catalog(database: &Database) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', relname, relowner::regrole, relacl) FROM pg_class \
               WHERE relnamespace::regnamespace::text ~ '^(log|read|accounts)' UNION ALL \
               SELECT concat_ws(' ', nspname, nspowner::regrole, nspacl) FROM pg_namespace UNION ALL \
               SELECT concat_ws(' ', datname, datdba::regrole, datacl) FROM pg_database WHERE datname = current_database() \
               UNION ALL SELECT concat_ws(' ', rolname, rolcanlogin, rolpassword) FROM pg_authid WHERE rolname = 'onsale_server' \
               UNION ALL SELECT concat_ws(' ', number, applied_at) FROM log.migrations ORDER BY 1";
    texts(&database.owner, sql).await
}

#[tokio::test]
async fn a_second_migration_changes_nothing_and_takes_back_what_was_given_by_hand() {
    let database = postgres::database().await;
    work(&database.url).await;
    let before = catalog(&database).await;
    assert!(before.len() > 20, "{before:?}");
    migrate(&at(&database.owner), &role(SERVER_ROLE, None)).await.expect("nothing to do");
    assert_eq!(catalog(&database).await, before);
    postgres::sql(&database.owner, "GRANT ALL ON ALL TABLES IN SCHEMA log TO onsale_server").await;
    postgres::sql(&database.owner, "GRANT UPDATE (kind) ON log.events TO onsale_server").await;
    postgres::sql(&database.owner, "REVOKE SELECT ON log.timers FROM onsale_server").await;
    assert!(editor(&at(&database.url)).await.expect("an answer").is_some());
    migrate(&at(&database.owner), &role(SERVER_ROLE, None)).await.expect("it is put right");
    assert_eq!(editor(&at(&database.url)).await.expect("an answer"), None);
    work(&database.url).await;
    database.drop_it().await;
}

/// As they were made until now: one role owns everything, and has served from it.
#[tokio::test]
async fn an_older_database_is_handed_over() {
    for attributes in ["CREATEROLE", ""] {
        let (database, owner, url) = owned(attributes).await;
        migrate(&at(&url), &NOBODY).await.expect("as it used to be");
        work(&url).await;
        postgres::sql(&database.owner, "CREATE VIEW read.report AS SELECT count(*) FROM read.skips").await;
        let server = fresh("server");
        if attributes.is_empty() {
            // The owner may neither make the role nor hand anything over to it, and says what somebody else has to do.
            let told = migrate(&at(&url), &role(&server, None)).await.expect_err("no such role").to_string();
            let words = format!("{owner} may not create it; let an administrator run: CREATE ROLE {server} LOGIN");
            assert!(told.contains(&words), "{told}");
            postgres::sql(&database.owner, &format!("CREATE ROLE {server} LOGIN")).await;
            let told = migrate(&at(&url), &role(&server, None)).await.expect_err("no member of it").to_string();
            let words = format!("let an administrator run: GRANT {server} TO {owner}");
            assert!(told.contains(&words), "{told}");
            let told =
                migrate(&at(&url), &role(&server, Some("secret-marker"))).await.expect_err("may not").to_string();
            assert!(told.contains("database.server_password") && !told.contains("secret-marker"), "{told}");
            work(&url).await;
            postgres::sql(&database.owner, &format!("GRANT {server} TO {owner}")).await;
        }
        migrate(&at(&url), &role(&server, None)).await.expect("handed over");
        let owners = "SELECT DISTINCT concat_ws(' ', substring(relnamespace::regnamespace::text FROM '^[a-z]+'), \
                      relowner::regrole) FROM pg_class WHERE relkind IN ('r', 'v') AND relname <> 'report' \
                      AND relnamespace::regnamespace::text ~ '^(log|read|accounts)' ORDER BY 1";
        assert_eq!(texts(&database.owner, owners).await, [format!("log {owner}"), format!("read {server}")]);
        let report = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'report'";
        assert_ne!(texts(&database.owner, report).await[0], server, "what others made stays theirs");
        let member = format!("SELECT member::text FROM pg_auth_members WHERE roleid = '{server}'::regrole");
        assert_eq!(
            texts(&database.owner, &member).await.len(),
            usize::from(attributes.is_empty()),
            "what is lent goes back"
        );
        let as_server = give_password(&database, &server).await;
        work(&as_server).await;
        assert_eq!(editor(&at(&as_server)).await.expect("an answer"), None);
        assert_eq!(refused(&as_server, "DELETE FROM log.events").await.as_deref(), Some("42501"));
        database.drop_it().await;
    }
}

/// The role that did everything goes on as the server's, and somebody else becomes the owner.
#[tokio::test]
async fn the_role_that_owned_everything_can_become_the_servers() {
    let (database, server, url) = owned("").await;
    migrate(&at(&url), &NOBODY).await.expect("as it used to be");
    work(&url).await;
    let told = migrate(&at(&url), &role(&server, None)).await.expect_err("both at once");
    assert_eq!(told, OpenError::MigratesAsServer(server.clone()));
    let name = texts(&database.owner, "SELECT current_database()::text").await.remove(0);
    migrate(&at(&database.owner), &role(&server, None)).await.expect("taken over");
    let told = editor(&at(&url)).await.expect("an answer").expect("still the database's owner");
    assert!(told.contains("owns the database"), "{told}");
    postgres::sql(&database.owner, &format!("ALTER DATABASE {name} OWNER TO CURRENT_USER")).await;
    migrate(&at(&database.owner), &role(&server, None)).await.expect("nothing to do");
    assert_eq!(editor(&at(&url)).await.expect("an answer"), None);
    assert_eq!(refused(&url, "ALTER TABLE log.events DISABLE TRIGGER ALL").await.as_deref(), Some("42501"));
    work(&url).await;
    database.drop_it().await;
}

#[tokio::test]
async fn an_owner_without_the_right_to_make_roles_uses_one_that_is_there() {
    let (database, _, url) = owned("").await;
    let server = fresh("server");
    postgres::sql(&database.owner, &format!("CREATE ROLE {server} LOGIN PASSWORD 'x'")).await;
    migrate(&at(&url), &role(&server, None)).await.expect("nothing needs to be handed over");
    work(&with_user(&database.owner, &server, "x")).await;
    // Who does not own the database cannot let others make schemas in it.
    let name = texts(&database.owner, "SELECT current_database()::text").await.remove(0);
    postgres::sql(&database.owner, &format!("ALTER DATABASE {name} OWNER TO CURRENT_USER")).await;
    postgres::sql(&database.owner, &format!("REVOKE CREATE ON DATABASE {name} FROM {server}")).await;
    postgres::sql(&database.owner, &format!("GRANT CREATE ON DATABASE {name} TO {}", owner_name(&url))).await;
    let told = migrate(&at(&url), &role(&server, None)).await.expect_err("may not").to_string();
    assert!(told.contains(&format!("GRANT CREATE ON DATABASE {name} TO {server}")), "{told}");
    database.drop_it().await;
}

fn owner_name(url: &str) -> &str {
    url.split("://").nth(1).and_then(|rest| rest.split(':').next()).expect("a user")
}

#[tokio::test]
async fn whoever_could_edit_history_is_told_why() {
    let (database, owner, url) = owned("").await;
    assert_eq!(editor(&at(&url)).await.expect("an answer"), None, "there is no history yet");
    migrate(&at(&url), &NOBODY).await.expect("migrated");
    let who = fresh("who");
    postgres::sql(
        &database.owner,
        &format!("CREATE ROLE {who} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA log TO {who}"),
    )
    .await;
    let as_who = with_user(&database.owner, &who, "x");
    let superuser = editor(&at(&database.owner)).await.expect("an answer").expect("it could");
    assert!(superuser.contains("is a superuser"), "{superuser}");
    let told = editor(&at(&url)).await.expect("an answer").expect("it could");
    assert_eq!(told, format!("{owner} owns log.events, or may become its owner"));
    assert_eq!(editor(&at(&as_who)).await.expect("an answer"), None);
    let table = [
        ("GRANT UPDATE ON log.events TO", "REVOKE UPDATE ON log.events FROM", "has UPDATE"),
        ("GRANT UPDATE (kind) ON log.events TO", "REVOKE UPDATE (kind) ON log.events FROM", "has UPDATE"),
        ("GRANT DELETE ON log.events TO", "REVOKE DELETE ON log.events FROM", "has UPDATE, DELETE"),
        ("GRANT TRUNCATE ON log.events TO", "REVOKE TRUNCATE ON log.events FROM", "TRUNCATE"),
        ("GRANT TRIGGER ON log.events TO", "REVOKE TRIGGER ON log.events FROM", "TRIGGER"),
        ("GRANT pg_write_all_data TO", "REVOKE pg_write_all_data FROM", "has UPDATE"),
        ("GRANT OWNER TO", "REVOKE OWNER FROM", "owns log.events, or may become its owner"),
    ];
    for (give, take, why) in table {
        let [give, take] = [give, take].map(|sql| format!("{} {who}", sql.replace("OWNER", &owner)));
        postgres::sql(&database.owner, &give).await;
        let told = editor(&at(&as_who)).await.expect("an answer").unwrap_or_else(|| panic!("{give}: nothing"));
        assert!(told.starts_with(&who) && told.contains(why), "{give}: {told}");
        postgres::sql(&database.owner, &take).await;
        assert_eq!(editor(&at(&as_who)).await.expect("an answer"), None, "{take}");
    }
    database.drop_it().await;
}

/// A server that asks for passwords: what the migration stored is what opens the door, and nothing else does.
#[tokio::test]
async fn the_password_is_the_one_that_was_given() {
    let dir = tempfile::tempdir().expect("a directory");
    let rules = dir.path().join("hba.conf");
    std::fs::write(&rules, "host all onsale_server 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
        .unwrap();
    let readable = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("it is ours");
    };
    readable(dir.path(), 0o755);
    readable(&rules, 0o644);
    let log = dir.path().join("statements");
    std::fs::create_dir(&log).unwrap();
    readable(&log, 0o777);
    let settings = [
        format!("hba_file={}", rules.display()),
        "log_statement=all".to_owned(),
        "logging_collector=on".to_owned(),
        "log_file_mode=0644".to_owned(),
        format!("log_directory={}", log.display()),
    ];
    let owner = postgres::start(&settings.each_ref().map(String::as_str));
    let (first, second) = ("it's \"quoted\" $1 \\ ", "another-marker");
    for password in [first, second] {
        migrate(&at(&owner), &role(SERVER_ROLE, Some(password))).await.expect("migrated");
        let quoted: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
        work(&with_user(&owner, SERVER_ROLE, &quoted)).await;
    }
    let refused = open(&at(&with_user(&owner, SERVER_ROLE, "wrong")), Options::new(Role::Read)).await.err();
    assert!(matches!(refused, Some(OpenError::NotReachable { .. })), "{refused:?}");
    let said: String =
        std::fs::read_dir(&log).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert!(said.contains("onsale.server_verifier"), "statements are logged");
    assert!(!said.contains(second) && !said.contains("quoted"), "{said}");
    let printed = format!("{:?}", role(SERVER_ROLE, Some(second)));
    assert!(!printed.contains(second), "{printed}");
}
