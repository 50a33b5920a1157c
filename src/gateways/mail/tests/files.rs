//! Are mails that are kept as files whole, in order, and for nobody but their owner?

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::server::{body, header};
use super::{head, mail};
use crate::gateways::mail::{Files, Mailer};
use crate::limits;

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("there");
    let mut names: Vec<_> = entries.map(|e| e.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn directory(home: &tempfile::TempDir) -> PathBuf {
    home.path().join("data").join("mail")
}

#[tokio::test]
async fn each_mail_is_a_file_of_its_own_and_of_its_owner() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = directory(&home);
    let files = Files::open(directory.clone(), head()).expect("made");
    files.send(mail("코드가 왔습니다")).await.expect("written");
    for subject in ["second", "third", "fourth"] {
        files.send(mail(subject)).await.expect("written");
    }
    let names = names(&directory);
    assert_eq!(names.len(), 4);
    assert_eq!(mode(&directory), 0o700);
    for (name, subject) in names.iter().zip(["코드가 왔습니다", "second", "third", "fourth"]) {
        let path = directory.join(name);
        assert!(name.ends_with(".eml") && mode(&path) == 0o600, "{name}");
        let message = std::fs::read_to_string(path).expect("a mail");
        assert_eq!(header(&message, "Subject"), subject);
        assert_eq!(body(&message).trim_end(), format!("{subject}: 인증 코드는 0123 4567 입니다."));
    }
}

#[tokio::test]
async fn the_oldest_go_and_so_do_halves() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = directory(&home);
    std::fs::create_dir_all(&directory).expect("ours");
    for number in 0..limits::MAILS_KEPT {
        std::fs::write(directory.join(format!("19700101T{number:06}.eml")), "old").expect("ours");
    }
    std::fs::write(directory.join("19700101T0.part"), "half").expect("ours");
    std::fs::write(directory.join("notes.txt"), "somebody else's").expect("ours");
    let files = Files::open(directory.clone(), head()).expect("there");
    for subject in ["one", "two"] {
        files.send(mail(subject)).await.expect("written");
    }
    let names = names(&directory);
    assert_eq!(names.iter().filter(|name| name.ends_with(".eml")).count(), limits::MAILS_KEPT);
    assert!(names.contains(&"19700101T000002.eml".to_owned()) && !names.contains(&"19700101T000001.eml".to_owned()));
    assert!(names.contains(&"notes.txt".to_owned()) && !names.iter().any(|name| name.ends_with(".part")));
}

#[tokio::test]
async fn a_full_disk_is_a_reason_to_try_later() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = directory(&home);
    let files = Files::open(directory.clone(), head()).expect("made");
    std::fs::remove_dir_all(&directory).expect("ours");
    let fault = files.send(mail("x")).await.expect_err("there is no directory");
    assert!(fault.retryable && !fault.detail.contains("kim"), "{fault}");
}
