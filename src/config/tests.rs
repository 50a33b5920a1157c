//! Does the configuration say what is wrong, where, and without giving a secret away?

use super::*;

fn load(file: &str, environment: &[(&str, &str)], flags: &[Flag]) -> Result<Config, String> {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::from_parts(Some(("my.toml", file)), environment, flags).map_err(|e| e.to_string())
}

fn data_flag(value: &str) -> Flag {
    Flag { name: "data", section: "data", key: "dir", value: value.to_owned() }
}

#[test]
fn the_embedded_defaults_are_complete() {
    let config = Config::from_parts(None, Vec::new(), &[]).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:8080");
    assert_eq!(config.database.partitions, limits::DEFAULT_PARTITIONS);
    assert!(!config.database.url.is_set());
    // Every key stands under a comment that explains it or its neighbour.
    let keys = DEFAULTS.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    assert!(DEFAULTS.lines().filter(|line| line.starts_with('#')).count() > keys);
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "[data]\ndir = \"from-file\"\n";
    let dir = |c: Result<Config, String>| c.unwrap().data.dir.display().to_string();
    assert_eq!(dir(load("", &[], &[])), "data");
    assert_eq!(dir(load(file, &[], &[])), "from-file");
    assert_eq!(dir(load(file, &[("ONSALE_DATA", "short")], &[])), "short");
    assert_eq!(dir(load(file, &[("ONSALE_DATA__DIR", "long"), ("ONSALE_DATA", "short")], &[])), "long");
    assert_eq!(dir(load(file, &[("ONSALE_DATA__DIR", "long")], &[data_flag("flag")])), "flag");
    let numbers = load("", &[("ONSALE_DATABASE__PARTITIONS", "7")], &[]).unwrap();
    assert_eq!(numbers.database.partitions, 7);
}

#[test]
fn mistakes_name_the_key_and_the_line() {
    let table = [
        ("\n[server]\nlisten = \"127.0.0.1:1\"\nlissten = 1\n", "my.toml:4: unknown key server.lissten"),
        ("[server]\nlisten = 8080\n", "my.toml:2: server.listen must be a string, not an integer"),
        ("[nonsense]\nx = 1\n", "my.toml:1: unknown section [nonsense]"),
        ("server = 1\n", "my.toml:1: server must be a section"),
        ("[database]\npartitions = 0\n", "database.partitions: must be 1 to"),
        ("[database]\nurl = \"sqlite:\"\n", "database.url: names no directory"),
        ("[database]\npartitions = 70000\n", "database.partitions"),
        ("[log]\nformat = \"xml\"\n", "log.format"),
        ("[psp]\nmode = \"production\"\n", "psp.mode"),
        ("[psp]\ncall_ms = 99\n", "psp.call_ms: must be 100 to 60000"),
        ("[psp]\ncall_ms = -1\n", "psp.call_ms"),
        ("[server]\nlisten = \"8080\"\n", "server.listen: must be an address"),
        ("[auth]\naccess_key = \"k\"\n", "auth.access_key: auth.access_key and auth.ticket_key are set together"),
        ("[server\n", "my.toml:1: not TOML"),
    ];
    for (file, expected) in table {
        let error = load(file, &[], &[]).expect_err(file);
        assert!(error.starts_with(expected), "{file:?}: {error}");
    }
    let table = [
        ("ONSALE_SERVER__PORT", "1", "environment ONSALE_SERVER__PORT: unknown key server.port"),
        ("ONSALE_NOWHERE__PORT", "1", "environment ONSALE_NOWHERE__PORT: unknown section nowhere"),
        ("ONSALE_DATABASE__PARTITIONS", "many", "environment ONSALE_DATABASE__PARTITIONS: database.partitions must be"),
    ];
    for (name, value, expected) in table {
        let error = load("", &[(name, value)], &[]).expect_err(name);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_secret_is_never_printed() {
    const SECRET: &str = "hunter2";
    let good = load("", &[("ONSALE_DATABASE_URL", "postgres://a:hunter2@localhost/x")], &[]).unwrap();
    assert!(!format!("{good:?}").contains(SECRET));
    assert!(good.database.url.expose().contains(SECRET));
    let wrong = [
        ("[database]\nurl = [\"hunter2\"]\n", None),
        ("[database]\nurl = \"hunter2\n", None),
        ("[database]\nurll = \"hunter2\"\n", None),
        ("[database]\nurl = \"ftp://hunter2\"\n", None),
        ("", Some(("ONSALE_DATABASE_URL", "hunter2"))),
        ("", Some(("ONSALE_DATABASE__PASSWORD", "hunter2"))),
        ("[psp]\nsecret_key = [\"hunter2\"]\n", None),
        ("[psp]\nmode = \"hunter2\"\n", None),
    ];
    for (file, variable) in wrong {
        let error = load(file, variable.as_slice(), &[]).expect_err(file);
        assert!(!error.contains(SECRET), "{error}");
    }
}

#[test]
fn secrets_can_be_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        format!("file:{}", path(name))
    };
    let good: [(&[u8], &str); 6] = [
        (b"hunter2 ", "hunter2 "),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b"hunter2\n\n", "hunter2\n"),
        (b"\nhunter2", "\nhunter2"),
        (b"file:/etc/hostname", "file:/etc/hostname"),
    ];
    for (content, expected) in good {
        let place = write("secret", content);
        let keys = ["ONSALE_PSP__SECRET_KEY", "ONSALE_REDIS__URL", "ONSALE_REDIS_URL"];
        for key in keys {
            let config = load("", &[(key, &place)], &[]).unwrap();
            let found = if key.contains("PSP") { &config.psp.secret_key } else { &config.redis.url };
            assert_eq!(found.expose(), expected, "{key}");
            assert!(!format!("{config:?}").contains("hunter2"));
        }
        let config = load(&format!("[auth]\nticket_code_key = \"{place}\"\n"), &[], &[]).unwrap();
        assert_eq!(config.auth.ticket_code_key.expose(), expected);
    }
    // What is no secret is what it says.
    assert_eq!(load("[redis]\nprefix = \"file:x\"\n", &[], &[]).unwrap().redis.prefix, "file:x");
    // What is read is checked as if it had stood there.
    let place = write("secret", b"ftp://hunter2\n");
    let error = load("", &[("ONSALE_DATABASE_URL", &place)], &[]).unwrap_err();
    assert_eq!(error, "database.url: must start with postgres:// or sqlite:");
    let bad = [
        (write("empty", b"\n"), "it is empty"),
        (write("binary", b"hunter2 \xff"), "not valid UTF-8"),
        (write("large", "hunter2".repeat(10_000).as_bytes()), "more than"),
        (format!("file:{}", path("gone")), "No such file"),
        (format!("file:{}", dir.path().display()), "directory"),
        ("file:".to_owned(), "No such file"),
    ];
    for (place, expected) in bad {
        for key in ["database.url", "psp.secret_key", "auth.access_key", "database.server_password"] {
            let variable = format!("ONSALE_{}", key.replace('.', "__").to_uppercase());
            let error = load("", &[(&variable, &place)], &[]).expect_err(&place);
            assert!(error.starts_with(&format!("{key}: ")) && error.contains(expected), "{error}");
            assert!(error.contains(place.trim_start_matches("file:")) && !error.contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn the_servers_role_is_a_plain_name() {
    let role = |name: &str| load(&format!("[database]\nserver_role = '{name}'\n"), &[], &[]);
    for good in ["", "onsale_server", "_x9", &"a".repeat(63)] {
        assert_eq!(role(good).unwrap().database.server_role, good);
    }
    for bad in ["9a", "Onsale", "a-b", "a b", "a\"b", "a;b", "역할", &"a".repeat(64)] {
        assert!(role(bad).unwrap_err().starts_with("database.server_role: "), "{bad}");
    }
    let error = load("", &[("ONSALE_DATABASE__SERVER_PASSWORD", "hunter2é")], &[]).unwrap_err();
    assert!(error.starts_with("database.server_password: ") && !error.contains("hunter2"), "{error}");
}
