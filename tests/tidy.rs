//! Does the house look as CONTRIBUTING.md says? Style is a test, never a discussion.
//!
//! Reads the sources as text. What the compiler or clippy can see is left to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES: usize = 500;
const FACADE_LINES: usize = 120;

/// What everybody may use.
const GROUND: &[&str] = &["ids", "money", "limits", "clock", "timestamp", "fault", "addresses"];

/// What even the ground may use: a mistake can be planted anywhere.
const ANYWHERE: &str = "planted";

/// What a folder (or file) of `src` may use besides itself. A folder that is missing here fails the test.
const MAY_USE: &[(&str, &[&str])] = &[
    (ANYWHERE, &[]),
    ("ids", &["limits"]),
    ("money", &[]),
    ("timestamp", &[]),
    ("limits", &[]),
    ("addresses", &[]),
    ("clock", &["timestamp", "ids"]),
    ("fault", &["ids"]),
    ("events", &["ids", "money", "limits", "timestamp"]),
    // Rules read no clock and know no failures of ours.
    ("domain", &["events", "ids", "money", "limits", "timestamp"]),
    ("journal", &["events", "ids", "clock", "limits", "timestamp", "fault", "telemetry"]),
    ("cluster", &["GROUND", "journal"]),
    ("actors", &["GROUND", "domain", "events", "journal", "cluster", "telemetry"]),
    ("audit", &["GROUND", "events", "journal"]),
    ("auth", &["GROUND"]),
    // People are no facts: nothing here reads the log.
    ("accounts", &["GROUND", "auth", "gateways", "telemetry"]),
    // Read models never decide.
    ("projections", &["GROUND", "events", "journal", "telemetry"]),
    ("sagas", &["GROUND", "events", "journal", "actors", "domain", "gateways", "telemetry"]),
    ("throttle", &["GROUND", "telemetry"]),
    ("gateways", &["GROUND", "telemetry", "throttle"]),
    ("live", &["GROUND", "events", "journal", "auth", "telemetry"]),
    ("config", &["limits", "addresses"]),
    ("telemetry", &["config"]),
    (
        "http",
        &[
            "GROUND",
            "accounts",
            "actors",
            "sagas",
            "domain",
            "events",
            "journal",
            "live",
            "auth",
            "projections",
            "throttle",
            "telemetry",
        ],
    ),
    ("app", &["ANY"]),
    ("cli", &["ANY"]),
    ("main", &["ANY"]),
    ("lib", &["ANY"]),
];

/// Texts that must not stand in code, where, and why. `concat!` keeps this file from finding itself.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("todo", "!("), "unfinished work does not get merged"),
    (concat!("unimplemented", "!("), "unfinished work does not get merged"),
    (concat!("dbg", "!("), "left over from looking for a bug"),
    (concat!("FIX", "ME"), "fix it, or say in a sentence why it stays"),
    (concat!("#[ign", "ore"), "a test that does not run is not a test"),
    (concat!("unbounded", "_channel("), "every queue has an end"),
];

/// Statements and migrations that truly exist in one engine only: which, where, and why.
const ONE_ENGINE: &[(&str, &[&str], &str)] = &[
    (
        "src/journal/sqlite",
        &[
            "append_head.sql",
            "append_kind.sql",
            "append_note.sql",
            "append_raise.sql",
            "append_timer_clear.sql",
            "append_timer_set.sql",
        ],
        "an append is several statements there; in Postgres it is one, and one round trip",
    ),
    (
        "src/journal/postgres",
        &["migration_add.sql", "migrations_table.sql"],
        "SQLite keeps the number of the schema in the header of its file",
    ),
    (
        "src/journal/postgres",
        &["node_renew.sql", "nodes_fresh.sql"],
        "a file has a lock of the system, which neither runs out nor outlives its process",
    ),
    (
        "src/journal/postgres",
        &["presence_others.sql", "presence_say.sql"],
        "a file has one node, and nobody to tell who is connected to it",
    ),
    (
        "src/journal/postgres",
        &["editor.sql", "grants.sql", "role_create.sql", "role_password.sql", "role_setting.sql", "role_state.sql"],
        "a file has no roles: who may write to it is the system's business",
    ),
    ("src/journal/postgres", &["settings.sql"], "we set up a file ourselves, but find a server as its operator did"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(under: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(under)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn rust_files() -> Vec<(String, String)> {
    let found: Vec<_> = [files("src", "rs"), files("tests", "rs")].concat();
    assert!(found.len() > 20, "the sources were not found");
    found.into_iter().map(|path| (relative(&path), fs::read_to_string(&path).expect("UTF-8"))).collect()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned()
}

fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("conformance")
        || name == "tests.rs"
        || name == "testing.rs"
}

/// The part before the unit tests, without comments.
fn production(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn complain(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// A promise whose test was renamed or removed is a promise without a test.
#[test]
fn security_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let promises = text.split("## What is promised").nth(1).expect("the promises");
    let rows = promises.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let shown = rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once(" | ")).map(|(_, shown)| shown);
    let named: BTreeSet<&str> = shown.flat_map(|shown| shown.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 30, "the table was not found");
    let sources = rust_files();
    let missing: Vec<_> =
        named.iter().filter(|name| !sources.iter().any(|(_, text)| text.contains(&format!("fn {name}(")))).collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there: {missing:?}");
}

/// What nobody planted proves nothing, and neither does a check that is not there any more.
#[test]
fn planted_bugs_are_planted_and_their_checks_exist() {
    let sources = rust_files();
    let planted = |bug: &&str| {
        let place = format!("planted(Bug::{bug})");
        !sources.iter().any(|(path, text)| path != "src/planted.rs" && text.contains(&place))
    };
    let bugs = fs::read_to_string(root().join("src/planted.rs")).expect("UTF-8");
    let bugs: Vec<&str> =
        bugs.split("Self::").skip(1).filter_map(|rest| rest.split_once(')')).map(|(b, _)| b).collect();
    assert!(bugs.len() > 10, "the bugs were not found");
    assert_eq!(bugs.iter().filter(|bug| planted(bug)).collect::<Vec<_>>(), Vec::<&&str>::new(), "planted nowhere");
    let list = fs::read_to_string(root().join("tests/planted.tsv")).expect("UTF-8");
    let checks = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let missing = checks.filter(|line| {
        let name = line.split('\t').nth(2).and_then(|test| test.rsplit("::").next()).unwrap_or_default();
        name.is_empty() || !sources.iter().any(|(_, text)| text.contains(&format!("fn {name}(")))
    });
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new(), "tests/planted.tsv names tests that are not there");
}

#[test]
fn every_file_says_which_question_it_answers() {
    let silent =
        |(path, text): &(String, String)| (!text.starts_with("//!")).then(|| format!("{path}: open it with //!"));
    complain(&rust_files().iter().filter_map(silent).collect::<Vec<_>>());
}

#[test]
fn files_stay_short() {
    let mut problems = Vec::new();
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        let facade = path.ends_with("/mod.rs") && path.starts_with("src/") && !is_test(&path);
        // A facade's contract in prose is welcome; code is what must be elsewhere.
        let code = production(&text).lines().filter(|line| !line.trim().is_empty()).count();
        if lines > FILE_LINES {
            problems.push(format!("{path}: {lines} lines, at most {FILE_LINES}"));
        } else if facade && code > FACADE_LINES {
            problems.push(format!("{path}: {code} lines of code in a facade, at most {FACADE_LINES}"));
        }
    }
    complain(&problems);
}

#[test]
fn nothing_unfinished_and_nothing_unbounded() {
    let mut problems = Vec::new();
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            for (word, why) in FORBIDDEN.iter().filter(|(word, _)| line.contains(word)) {
                problems.push(format!("{path}:{}: {word}: {why}", number + 1));
            }
        }
    }
    complain(&problems);
}

#[test]
fn tests_wait_for_conditions() {
    let sleeps = [concat!("time::sl", "eep("), concat!("thread::sl", "eep(")];
    let mut problems = Vec::new();
    for (path, text) in rust_files() {
        // The helper that waits for a condition may, and so may the simulator's, whose time costs nothing.
        if path.ends_with("/wait.rs") || path == "tests/sim/simulated.rs" {
            continue;
        }
        let tests =
            if is_test(&path) { text.as_str() } else { text.split("#[cfg(test)]\nmod tests {").nth(1).unwrap_or("") };
        if sleeps.iter().any(|word| tests.contains(word)) {
            problems.push(format!("{path}: a test sleeps; wait for a condition"));
        }
    }
    complain(&problems);
}

/// Who judges the server must not make its mistakes: the checker has nothing of ours but files.
#[test]
fn the_checker_shares_no_code_with_the_server() {
    let mut problems = Vec::new();
    let sources = rust_files();
    let checker: Vec<_> = sources.iter().filter(|(path, _)| path.starts_with("tests/faults/checker/")).collect();
    assert!(checker.len() > 5, "the checker was not found");
    for (path, text) in checker {
        for (number, line) in text.lines().enumerate() {
            let used = line.trim_start().trim_start_matches("pub ").strip_prefix("use ");
            let own =
                |used: &str| ["std::", "serde_json::", "super::", "self::"].iter().any(|own| used.starts_with(own));
            if line.contains("onsale::") || line.contains("crate::") || used.is_some_and(|used| !own(used)) {
                problems.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    complain(&problems);
}

#[test]
fn rules_are_synchronous() {
    let mut problems = Vec::new();
    for (path, text) in rust_files().iter().filter(|(path, _)| path.starts_with("src/domain/")) {
        for (number, line) in production(text).lines().enumerate() {
            let words: BTreeSet<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            for word in ["async", "await", "tokio", "sqlx", "axum", "tracing"] {
                if words.contains(word) {
                    problems.push(format!("{path}: {word} near line {} of its code: {}", number + 1, line.trim()));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn folders_use_only_what_they_may() {
    let mut problems = Vec::new();
    for (path, text) in rust_files().iter().filter(|(path, _)| path.starts_with("src/") && !is_test(path)) {
        let room = path["src/".len()..].split(['/', '.']).next().unwrap_or_default();
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            problems.push(format!("{path}: `{room}` has no line in the table of tests/tidy.rs"));
            continue;
        };
        for used in modules_used(&production(text)) {
            let fine = used == room
                || used == ANYWHERE
                || allowed.contains(&used.as_str())
                || allowed.contains(&"ANY")
                || (allowed.contains(&"GROUND") && GROUND.contains(&used.as_str()));
            if !fine {
                problems.push(format!("{path}: {room} must not use {used}"));
            }
        }
    }
    complain(&problems);
}

/// First segments after `crate::`, also within `use crate::{a, b::c}`.
fn modules_used(code: &str) -> BTreeSet<String> {
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut used = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut at_start = true;
            for (index, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => at_start = true,
                    _ if at_start && depth == 1 && !c.is_whitespace() => {
                        used.insert(word(&group[index..]));
                        at_start = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            used.insert(word(rest));
        }
    }
    // A macro or a re-export at the root is not a room.
    used.retain(|name| known.contains(name.as_str()));
    used
}

#[test]
fn the_scan_sees_every_way_to_name_a_module() {
    let used = modules_used(
        "use crate::{app, journal::{open, SharedJournal}};\nfn f(x: crate::ids::Hash16) {}\ncrate::nothing!();",
    );
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["app", "ids", "journal"]);
}

/// A number that nobody records reads as "all is well"; one under another name or label is not found.
#[test]
fn every_metric_is_recorded_as_the_table_says() {
    let mut problems = Vec::new();
    let sources = rust_files();
    let code: Vec<&(String, String)> =
        sources.iter().filter(|(path, _)| path.starts_with("src/") && path != "src/telemetry.rs").collect();
    for (path, text) in &code {
        if ["counter!(\"", "gauge!(\"", "histogram!(\""].iter().any(|literal| text.contains(literal)) {
            problems.push(format!("{path}: name metrics by the constants of telemetry.rs"));
        }
    }
    let table = fs::read_to_string(root().join("src/telemetry.rs")).expect("UTF-8");
    let rows: Vec<(&str, &str)> = table.lines().filter_map(|line| line.trim().split_once(" = \"onsale_")).collect();
    assert!(rows.len() > 10, "the table was not found");
    for (name, rest) in rows {
        // In the help, every second part between backticks is the name of a label.
        let promised: BTreeSet<&str> = rest.split('`').skip(1).step_by(2).collect();
        let constant = format!("telemetry::{name}");
        let uses = code.iter().flat_map(|(_, text)| text.split(constant.as_str()).skip(1));
        let uses: Vec<&str> = uses.filter(|after| after.starts_with([',', ')'])).collect();
        if uses.is_empty() {
            problems.push(format!("src/telemetry.rs: nobody records {name}"));
        }
        for after in uses {
            let call = after.split(')').next().unwrap_or(after);
            let labels = call.split("\" =>").filter_map(|part| part.rsplit_once('"')).map(|(_, label)| label);
            let labels: BTreeSet<&str> = labels.take(call.matches("\" =>").count()).collect();
            if labels != promised {
                problems.push(format!("src/telemetry.rs: {name} says {promised:?}, recorded is {labels:?}"));
            }
        }
    }
    complain(&problems);
}

#[test]
fn both_engines_have_the_same_statements_and_migrations() {
    let mut problems = Vec::new();
    let mut explained: BTreeSet<String> =
        ONE_ENGINE.iter().flat_map(|(room, names, _)| names.iter().map(move |name| format!("{room}/{name}"))).collect();
    for parent in ["src/journal", "migrations"] {
        let names = |engine: &str| -> BTreeSet<String> {
            let all = files(&format!("{parent}/{engine}"), "sql");
            all.iter().filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned())).collect()
        };
        let (postgres, sqlite) = (names("postgres"), names("sqlite"));
        assert!(!postgres.is_empty() && !sqlite.is_empty(), "{parent}: the statements were not found");
        for (engine, only) in [("postgres", &postgres - &sqlite), ("sqlite", &sqlite - &postgres)] {
            for path in only.iter().map(|name| format!("{parent}/{engine}/{name}")) {
                if !explained.remove(&path) {
                    problems.push(format!("{path}: the other engine has no statement of this name"));
                }
            }
        }
    }
    problems
        .extend(explained.iter().map(|path| format!("{path}: it is not in one engine only, strike it off the list")));
    complain(&problems);
}
