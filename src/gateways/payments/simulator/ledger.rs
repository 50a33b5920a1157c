//! How do the simulated provider's books survive it? A file of lines, one fact each, appended before anybody is told.
//!
//! A line is written with one call and not flushed to the disk: it outlives the process, which is what the tests kill, not
//! the machine. A last line without its end was told to nobody and is cut off; any other damage is refused by its line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::books::{Books, Entry, Remembered, What};
use crate::ids::PaymentKey;
use crate::timestamp::Timestamp;

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("the ledger {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the ledger {path} is in use by another simulator")]
    InUse { path: PathBuf },
    #[error("the ledger {path} is damaged in line {line}: {problem}")]
    Damaged { path: PathBuf, line: u64, problem: String },
}

/// Books and their file.
#[derive(Debug)]
pub struct Ledger {
    pub books: Books,
    /// `None`: kept in memory only.
    file: Option<File>,
    /// A line could not be written: what is in memory is ahead of the file, so nothing may be told any more.
    broken: bool,
}

impl Ledger {
    #[must_use]
    pub fn in_memory() -> Self {
        Self { books: Books::default(), file: None, broken: false }
    }

    /// Opens the file, or makes it, and reads all of it. One simulator at a time.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::File { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).truncate(false).open(path).map_err(failed)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| LedgerError::InUse { path: path.to_owned() })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (books, _) = fold(path, &bytes[..whole])?;
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(io::SeekFrom::End(0)).map_err(failed)?;
        Ok(Self { books, file: Some(file), broken: false })
    }

    /// Adds one fact and writes it down. After an error nobody must be told of it, nor of anything later.
    pub fn append(
        &mut self,
        at: Timestamp,
        payment_key: &PaymentKey,
        what: What,
        answer: Option<Remembered>,
    ) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the ledger cannot be written any more"));
        }
        let entry = Entry { n: self.books.entries() + 1, at, payment_key: payment_key.clone(), what, answer };
        self.books.apply(&entry).map_err(io::Error::other)?;
        let written = self.file.as_mut().map_or(Ok(()), |file| {
            let mut line = serde_json::to_vec(&entry)?;
            line.push(b'\n');
            file.write_all(&line)
        });
        self.broken = written.is_err();
        written
    }
}

/// Reads a ledger beside its simulator, for comparison.
pub fn read(path: &Path) -> Result<(Books, Vec<Entry>), LedgerError> {
    let bytes = std::fs::read(path).map_err(|source| LedgerError::File { path: path.to_owned(), source })?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    fold(path, &bytes[..whole])
}

fn fold(path: &Path, bytes: &[u8]) -> Result<(Books, Vec<Entry>), LedgerError> {
    let (mut books, mut entries) = (Books::default(), Vec::new());
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let damaged = |problem: String| LedgerError::Damaged { path: path.to_owned(), line: index as u64 + 1, problem };
        let entry: Entry = serde_json::from_slice(line).map_err(|e| damaged(format!("not an entry ({e})")))?;
        books.apply(&entry).map_err(|problem| damaged(problem.to_owned()))?;
        entries.push(entry);
    }
    Ok((books, entries))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Hash16, OrderId};
    use crate::money::{Amount, Currency};

    fn captured(amount: u64) -> What {
        What::Captured {
            order_id: OrderId::new("order-1"),
            amount: Amount::new(amount).unwrap(),
            currency: Currency::KRW,
            transaction_key: "tx_1".to_owned(),
        }
    }

    fn cancelled(amount: u64) -> What {
        let amount = Amount::new(amount).unwrap();
        What::Cancelled { amount, reason: "r".to_owned(), transaction_key: "tx_2".to_owned() }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("ledger");
        let key = PaymentKey::new("pk_1");
        let answer = Remembered { scope: Hash16([7; 16]), status: 200, body: serde_json::json!({"a": 1}) };
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(Timestamp(1), &key, captured(1_000), Some(answer.clone())).unwrap();
        ledger.append(Timestamp(2), &key, cancelled(400), None).unwrap();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::InUse { .. })));
        let before = ledger.books.ledger();
        assert_eq!((before["captured"].as_u64(), before["net"].as_u64()), (Some(1_000), Some(600)));
        drop(ledger);
        // A crash in the middle of a line: it was told to nobody.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"n\":3,\"at").unwrap();
        let mut again = Ledger::open(&path).unwrap();
        assert_eq!(again.books.ledger(), before);
        assert_eq!(again.books.remembered(&answer.scope, Timestamp(3)), Some(&answer));
        let later = Timestamp(1).plus(crate::limits::SIMULATOR_KEY_MEMORY);
        assert_eq!(again.books.remembered(&answer.scope, later), None);
        again.append(Timestamp(3), &key, cancelled(600), None).unwrap();
        drop(again);
        let (books, entries) = read(&path).unwrap();
        assert_eq!((books.ledger()["net"].as_u64(), entries.len()), (Some(0), 3));
    }

    #[test]
    fn damage_is_named_by_its_line() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("ledger");
        let key = PaymentKey::new("pk_1");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(Timestamp(1), &key, captured(1_000), None).unwrap();
        ledger.append(Timestamp(2), &key, cancelled(400), None).unwrap();
        drop(ledger);
        let good = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = good.lines().collect();
        let table = [
            (format!("junk\n{good}"), 1),
            (format!("{}\n", lines[1]), 1),
            (format!("{good}{}\n", lines[1].replace("\"n\":2", "\"n\":3").replace("400", "4000")), 3),
            (format!("{good}{}\n", lines[0].replace("\"n\":1", "\"n\":3")), 3),
        ];
        for (text, expected) in table {
            std::fs::write(&path, &text).unwrap();
            match Ledger::open(&path) {
                Err(LedgerError::Damaged { line, .. }) => assert_eq!(line, expected, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
