//! Are keys made once, kept for their owner alone, changed without a gap, and never mixed up?

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::limits;

const GOOD: [&str; 4] = [
    "k3Jx9Qw7Lm2Zr8Vt5Yb1Nc6Hd4Fg0Ps!",
    "Zb7Uq2Xe9Rk4Wm1Tj6Yn3Ld8Ch5Vg0Af!",
    "p0Qm4Xs8Kd2Lf6Jh1Gz9Tb3Vy7Rc5Wn!",
    "u6Et1Ba9Sv4Nq7Mw2Kx8Hj5Fr3Zd0Gl!",
];

/// A directory of the test's own, which goes with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("onsale-keys-{}", Entropy::from_system().hash16()));
        std::fs::create_dir(&path).expect("a fresh name");
        Self(path)
    }

    fn keys(&self) -> Keys {
        Keys::load_or_create(&self.0, &Entropy::from_system()).expect("a writable directory")
    }

    fn mode(&self, file: &str) -> u32 {
        std::fs::metadata(self.0.join(file)).expect("the file").permissions().mode() & 0o777
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        std::fs::write(&path, text).expect("ours");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("ours");
    }

    fn open(&self, chosen: Chosen) -> Result<Keys, KeyError> {
        Keys::open(chosen, &self.0, &Entropy::from_system())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A directory that is left in the system's temporary one hurts nobody.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

fn chosen(keys: &[(Kind, &str, &str)]) -> Result<Chosen, KeyError> {
    let mut chosen = Chosen::default();
    for (kind, current, previous) in keys {
        chosen.add(*kind, current, previous)?;
    }
    Ok(chosen)
}

#[test]
fn the_first_start_makes_keys_that_stay() {
    let place = Place::new();
    let first = place.keys();
    assert_eq!(first, place.keys());
    let ids: std::collections::BTreeSet<_> = Kind::ALL.iter().flat_map(|kind| first.ids(*kind)).collect();
    assert_eq!(ids.len(), Kind::ALL.len(), "one of each kind, all different");
    assert_eq!((place.mode(FILE), place.mode(CODE_FILE)), (0o600, 0o600));
}

#[test]
fn open_or_broken_files_are_refused_and_left_as_they_are() {
    let place = Place::new();
    place.keys();
    let file = place.0.join(FILE);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let open = |place: &Place| place.open(Chosen::default());
    assert!(matches!(open(&place), Err(KeyError::TooOpen { .. })));
    let long = "0123456789abcdef".repeat(4);
    let many = [long.as_str(); 6].join("\",\"");
    for junk in [
        String::new(),
        "{}".to_owned(),
        r#"{"access":"00","tickets":"00"}"#.to_owned(),
        format!(r#"{{"access":[],"tickets":"{long}"}}"#),
        format!(r#"{{"access":["{many}"]}}"#),
        format!(r#"{{"axcess":"{long}"}}"#),
        format!(r#"{{"access":"{long}"}} x"#),
    ] {
        place.put(FILE, &junk);
        assert!(matches!(open(&place), Err(KeyError::Malformed { .. })), "{junk}");
        assert_eq!(std::fs::read_to_string(&file).expect("still there"), junk, "nothing is repaired in silence");
    }
}

#[test]
fn a_directory_of_an_older_version_is_completed_and_keeps_what_it_had() {
    let place = Place::new();
    let (access, tickets) = ("0123456789abcdef".repeat(4), "fedcba9876543210".repeat(4));
    place.put(FILE, &format!("{{\"access\":\"{access}\",\"tickets\":\"{tickets}\"}}\n"));
    let keys = place.keys();
    assert_eq!((keys.access.current().text(), keys.tickets.current().text()), (access, tickets));
    assert_eq!(keys, place.keys(), "what was added stays, too");
    assert_eq!((place.mode(FILE), place.mode(CODE_FILE)), (0o600, 0o600));
    std::fs::remove_file(place.0.join(CODE_FILE)).expect("ours");
    let again = place.keys();
    assert_eq!((&keys.access, &keys.device, &keys.seal), (&again.access, &again.device, &again.seal));
    assert_ne!(keys.codes, again.codes);
}

#[test]
fn rotation_keeps_four_keys_before_the_current_one_and_retiring_takes_one_away() {
    for kind in Kind::ALL.iter().copied() {
        let (place, entropy) = (Place::new(), Entropy::from_system());
        let missing = rotate(&place.0, kind, &entropy).expect_err("nothing to rotate");
        assert!(matches!(missing, KeyError::NotMade { .. }), "{missing}");
        let others = |keys: &Keys| -> Vec<Vec<String>> {
            Kind::ALL.iter().filter(|other| **other != kind).map(|other| keys.ids(*other)).collect()
        };
        let before = place.keys();
        let mut expected = before.ids(kind);
        for _ in 0..limits::KEYS_PREVIOUS {
            expected.insert(0, rotate(&place.0, kind, &entropy).expect("room for one more"));
            assert_eq!(place.keys().ids(kind), expected, "{kind:?}");
        }
        let full = rotate(&place.0, kind, &entropy).expect_err("the ring is full");
        assert!(matches!(full, KeyError::Full), "{full}");
        let current = retire(&place.0, kind, &expected[0], &entropy).expect_err("the current one");
        assert!(matches!(current, KeyError::Current { .. }), "{current}");
        let unknown = retire(&place.0, kind, "nonsense", &entropy).expect_err("there is no such key");
        assert!(matches!(unknown, KeyError::NoSuchKey { .. }), "{unknown}");
        retire(&place.0, kind, &expected[2], &entropy).expect("a previous one");
        expected.remove(2);
        let oldest = retire(&place.0, kind, &expected[3], &entropy);
        if kind == Kind::Seal {
            assert!(matches!(oldest, Err(KeyError::Oldest { .. })), "people are found by it");
        } else {
            oldest.expect("the oldest one");
            expected.remove(3);
        }
        let after = place.keys();
        assert_eq!(after.ids(kind), expected);
        assert_eq!(others(&after), others(&before), "the other kinds stay as they were");
        assert_eq!((place.mode(FILE), place.mode(CODE_FILE)), (0o600, 0o600));
    }
}

#[test]
fn two_that_change_keys_at_once_lose_nothing() {
    let place = Place::new();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| place.keys())).collect();
        let all: Vec<Keys> = all.into_iter().map(|one| one.join().expect("it ends")).collect();
        assert!(all.iter().all(|keys| *keys == all[0]), "one of them made the keys");
    });
    std::thread::scope(|scope| {
        for kind in Kind::ALL {
            let directory = &place.0;
            scope.spawn(move || rotate(directory, *kind, &Entropy::from_system()).expect("rotates"));
        }
    });
    let keys = place.keys();
    assert!(Kind::ALL.iter().all(|kind| keys.ids(*kind).len() == 2), "each rotation is there");
}

#[test]
fn what_is_configured_wins_and_the_rest_comes_from_the_directory() {
    let place = Place::new();
    let both = chosen(&[(Kind::Access, GOOD[0], ""), (Kind::Ticket, GOOD[1], "")]).expect("good ones");
    let keys = place.open(both.clone()).expect("the rest is made");
    assert_eq!(keys.access.current().bytes(), GOOD[0].as_bytes());
    let again = place.open(both).expect("the rest is there");
    assert_eq!(keys, again);
    assert_ne!(place.keys().access, keys.access, "made when nobody configures one");
    assert_eq!(place.keys().device, keys.device);
    let seeds =
        [STANDARD.encode(*b"0123456789abcdef0123456789abcdef"), STANDARD.encode(*b"fedcba9876543210fedcba9876543210")];
    let all = chosen(&[
        (Kind::Access, GOOD[0], &format!("{}, {}", GOOD[1], GOOD[2])),
        (Kind::TicketCode, &seeds[0], &seeds[1]),
    ]);
    let keys = place.open(all.expect("good ones")).expect("keys");
    assert_eq!((keys.ids(Kind::Access).len(), keys.ids(Kind::TicketCode).len()), (3, 2));
    assert_eq!(keys.access.current().bytes(), GOOD[0].as_bytes());
}

#[test]
fn keys_that_cannot_be_meant_are_refused_and_never_printed() {
    let place = Place::new();
    let long = "a".repeat(40);
    let bad = ["short", &long, "change-me-change-me-change-me-change-me", "my-very-long-SECRET-that-is-a-secret"];
    for kind in [Kind::Access, Kind::Ticket, Kind::Device, Kind::Seal] {
        for text in bad {
            for (current, previous, option) in [(text, "", kind.option()), (GOOD[0], text, kind.previous_option())] {
                let error = chosen(&[(kind, current, previous)]).expect_err("a bad secret").to_string();
                assert!(error.starts_with(option) && !error.contains(text), "{error}");
            }
        }
        let error = chosen(&[(kind, "", GOOD[0])]).expect_err("nothing signs").to_string();
        assert!(error.starts_with(kind.previous_option()), "{error}");
        let five = GOOD.iter().chain(&GOOD[..1]).copied().collect::<Vec<_>>().join(",");
        let error = chosen(&[(kind, GOOD[0], &five)]).expect_err("too many").to_string();
        assert!(error.starts_with(kind.previous_option()), "{error}");
    }
    for seed in ["not base64!", "c2hvcnQ=", &STANDARD.encode([7; 32])] {
        let error = chosen(&[(Kind::TicketCode, seed, "")]).expect_err("a bad seed").to_string();
        assert!(error.contains("auth.ticket_code_key") && !error.contains(seed), "{error}");
    }
    let kinds = [Kind::Access, Kind::Ticket, Kind::Device, Kind::Seal];
    for (i, one) in kinds.iter().enumerate() {
        for other in &kinds[i + 1..] {
            for (current, previous) in [(GOOD[0], ""), (GOOD[1], GOOD[0])] {
                let shared = chosen(&[(*one, GOOD[0], GOOD[3]), (*other, current, previous)]).expect("each is good");
                assert!(matches!(place.open(shared), Err(KeyError::Same { .. })), "{one:?} {other:?}");
            }
        }
        let twice = chosen(&[(*one, GOOD[0], GOOD[0])]).expect("each is good");
        assert!(matches!(place.open(twice), Err(KeyError::Same { .. })), "{one:?} twice");
    }
    let secret = Secret::chosen("x", GOOD[0]).expect("a good one");
    assert!(!format!("{secret:?}").contains(GOOD[0]));
    let keys = place.keys();
    let printed = format!("{keys:?}");
    let texts = [keys.access.current().text(), keys.codes.current().text()];
    assert!(texts.iter().all(|text| !printed.contains(text)), "{printed}");
}

#[test]
fn a_key_for_sealing_has_32_bytes_and_is_not_the_secret_itself() {
    let secret = Secret::chosen("x", GOOD[0]).expect("a good one");
    assert_eq!(secret.sealing(), secret.sealing());
    assert_ne!(&secret.sealing()[..], secret.bytes());
    assert_ne!(secret.sealing(), Secret::chosen("x", GOOD[1]).expect("a good one").sealing());
}
