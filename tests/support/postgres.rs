//! Where do tests get a Postgres from? From `ONSALE_TEST_POSTGRES_URL`, or from one that this process starts for itself.
//!
//! Every test gets a database of its own, copied from a migrated template, and works with it as nodes do: as the role that
//! cannot edit history. Who damages a log on purpose asks for its owner. A started server is stopped by a watcher when this
//! process ends, however it ends.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use onsale::journal::open::{Migration, ServerRole, Target, migrate};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

pub const PARTITIONS: u16 = 8;
const TEMPLATE: &str = "onsale_template";
/// What nodes are here, and their password where the server asks for one.
pub const SERVER_ROLE: &str = "onsale_server";
pub const SERVER_PASSWORD: &str = "marker-of-the-database";

static SERVER: OnceCell<String> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database of one test; dropped by [`Database::drop_it`], or with its server.
pub struct Database {
    /// As the server's role.
    pub url: String,
    /// As the owner, who migrates, and who may do everything.
    pub owner: String,
    admin: String,
    name: String,
}

impl Database {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub async fn drop_it(self) {
        sql(&self.admin, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

/// An empty log with [`PARTITIONS`] partitions.
pub async fn database() -> Database {
    let admin = server().await;
    let made = new_database(admin.clone(), &format!("TEMPLATE {TEMPLATE}_{}", std::process::id())).await;
    // What a role may do to a database as a whole is not copied with it.
    sql(&admin, &format!("GRANT CONNECT, CREATE ON DATABASE {} TO {SERVER_ROLE}", made.name)).await;
    made
}

/// A database without a schema.
pub async fn empty_database() -> Database {
    new_database(server().await, "").await
}

/// A database without a schema, on a server of the caller's own.
pub async fn empty_database_on(admin: &str) -> Database {
    new_database(admin.to_owned(), "").await
}

async fn new_database(admin: String, like: &str) -> Database {
    let name = format!("onsale_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    sql(&admin, &format!("CREATE DATABASE {name} {like}")).await;
    let owner = with_database(&admin, &name);
    Database { url: with_user(&owner, SERVER_ROLE, SERVER_PASSWORD), owner, admin, name }
}

/// The same database as its owner sees it.
pub async fn owner_of(url: &str) -> String {
    let base = url.split('?').next().unwrap_or(url);
    with_database(&server().await, base.rsplit('/').next().expect("a database"))
}

async fn server() -> String {
    let url = SERVER.get_or_init(|| async {
        #[allow(clippy::disallowed_methods, reason = "tests are steered from outside by this variable only")]
        let admin = std::env::var("ONSALE_TEST_POSTGRES_URL").unwrap_or_else(|_| start(&[]));
        let template = format!("{TEMPLATE}_{}", std::process::id());
        sql(&admin, &format!("CREATE DATABASE {template}")).await;
        let target = Target::Postgres { url: with_database(&admin, &template) };
        let role = ServerRole { name: SERVER_ROLE.to_owned(), password: Some(SERVER_PASSWORD.to_owned()) };
        let migration = Migration { partitions: Some(PARTITIONS), server: Some(role) };
        migrate(&target, &migration).await.expect("the template can be migrated");
        admin
    });
    url.await.clone()
}

/// Runs statements one by one.
pub async fn sql(url: &str, text: &str) {
    let mut conn = PgConnection::connect(url).await.expect("the test server answers");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await.expect("the statement of the test is valid");
    conn.close().await.expect("the connection closes");
}

/// One number out of the database; `None` when it does not answer.
pub async fn number(url: &str, query: &str) -> Option<i64> {
    let mut conn = PgConnection::connect(url).await.ok()?;
    let number = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut conn).await.ok()?;
    conn.close().await.ok()?;
    Some(number)
}

/// The address with another role in it.
pub fn with_user(url: &str, user: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("an address has a scheme");
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{user}:{password}@{host}")
}

fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let host_end = base.find("://").map_or(0, |i| i + 3);
    let end = base[host_end..].find('/').map_or(base.len(), |i| host_end + i);
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("{}/{name}{query}", &base[..end])
}

/// Starts a server of our own with extra settings such as `fsync=off`; its superuser URL.
pub fn start(settings: &[&str]) -> String {
    super::cluster::Cluster::new(settings).url()
}

/// Root may not run Postgres: its own user does.
pub fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::getuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("there are users");
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("a user `postgres`, since we are root");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().expect("a uid"), fields[3].parse().expect("a gid")))
}

/// Everything that is in a database, as a text.
pub fn dump(url: &str) -> String {
    let output = Command::new(binaries().join("pg_dump")).arg(url).output().expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    found
        .or_else(|| {
            #[allow(clippy::disallowed_methods, reason = "looks for a program, as a shell does")]
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).find(|dir| dir.join("initdb").exists())
        })
        .expect("Postgres is installed, or ONSALE_TEST_POSTGRES_URL names a server")
}

/// Does a statement that fails where something does not hold succeed?
pub async fn holds(url: &str, text: &str) -> bool {
    let mut conn = PgConnection::connect(url).await.expect("the test server answers");
    let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await;
    conn.close().await.expect("the connection closes");
    done.is_ok()
}
