//! Who asks? A crowd in which everybody has a token of their own, signed by all processors before anything is measured.
//!
//! The tokens of a crowd are alike but for the number in the name and the signature, so only those are kept: ten million
//! members fit into memory.

use std::ops::Range;
use std::time::Duration;

use super::line::Token;
use crate::auth::keys::Keys;
use crate::auth::principal::{Principal, Role};
use crate::auth::token::{Signer, Tokens};
use crate::cli::failure::Failure;
use crate::clock::{Clock, Entropy, SystemClock};
use crate::ids::AccountId;
use crate::limits;
use crate::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);
/// Every name is as long as any other.
const DIGITS: usize = 8;
const _: () = assert!(limits::BENCH_CROWD < 100_000_000, "a member's number has that many digits");

/// Members by number, and their tokens.
pub struct Members {
    /// A token like all others.
    sample: String,
    /// Where in it the number is told.
    number: Range<usize>,
    /// Where its signature begins.
    signature: usize,
    count: u64,
    /// Of each member the two parts that are their own, in pieces of so many members.
    own: Vec<Vec<u8>>,
    in_a_piece: u64,
    /// How long it took to sign them.
    pub took: Duration,
}

/// What all tokens of a crowd are signed with.
struct Pen {
    signer: Signer,
    /// Keeps this crowd apart from another one on the same log.
    run: String,
    now: Timestamp,
}

impl Pen {
    fn token(&self, n: u64) -> Result<String, Failure> {
        let name = AccountId::new(format!("bench-{}-{n:0DIGITS$}", self.run));
        let principal = Principal::operator(name, Role::Member, None, self.now);
        self.signer.sign(&principal, DAY, self.now).map_err(|e| Failure::of(format!("no token: {e}")))
    }
}

impl Members {
    /// Signs that many tokens with the key that the node believes.
    pub async fn sign(keys: &Keys, count: u64) -> Result<Self, Failure> {
        let pen = Pen {
            signer: Tokens::new(keys).signer,
            run: Entropy::from_system().hash16().to_string(),
            now: SystemClock.wall(),
        };
        let signing = tokio::task::spawn_blocking(move || Self::sign_now(&pen, count));
        signing.await.map_err(|e| Failure::of(format!("the tokens were not signed: {e}")))?
    }

    fn sign_now(pen: &Pen, count: u64) -> Result<Self, Failure> {
        let began = SystemClock.elapsed();
        let (sample, other) = (pen.token(0)?, pen.token(10_u64.pow(DIGITS as u32) - 1)?);
        let signature = sample.rfind('.').map(|dot| dot + 1).ok_or_else(|| Failure::of("no token: it has no parts"))?;
        let differ = || sample.bytes().zip(other.bytes()).take(signature).enumerate().filter(|(_, (a, b))| a != b);
        let first = differ().next().map_or(0, |(at, _)| at);
        let number = first..differ().next_back().map_or(0, |(at, _)| at + 1);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let in_a_piece = count.div_ceil(threads as u64).max(1);
        let mut members = Self { sample, number, signature, count, own: Vec::new(), in_a_piece, took: Duration::ZERO };
        members.own = std::thread::scope(|scope| {
            let members = &members;
            let piece = |from: u64| scope.spawn(move || members.piece(pen, from..count.min(from + in_a_piece)));
            let pieces: Vec<_> = (0..count).step_by(in_a_piece as usize).map(piece).collect();
            let joined = pieces.into_iter().map(|piece| {
                piece.join().unwrap_or_else(|_| Err(Failure::of("a thread that signs tokens ended badly")))
            });
            joined.collect::<Result<_, Failure>>()
        })?;
        members.took = SystemClock.elapsed().saturating_sub(began);
        Ok(members)
    }

    fn piece(&self, pen: &Pen, numbers: Range<u64>) -> Result<Vec<u8>, Failure> {
        let mut own = Vec::with_capacity((numbers.end - numbers.start) as usize * self.own_bytes());
        let common = [0..self.number.start, self.number.end..self.signature];
        for n in numbers {
            let token = pen.token(n)?;
            // Sent in pieces it must be this very token again.
            let alike = |range: &Range<usize>| token.get(range.clone()) == self.sample.get(range.clone());
            if token.len() != self.sample.len() || !common.iter().all(alike) {
                return Err(Failure::of("the tokens of a crowd are not alike"));
            }
            own.extend_from_slice(&token.as_bytes()[self.number.clone()]);
            own.extend_from_slice(&token.as_bytes()[self.signature..]);
        }
        Ok(own)
    }

    fn own_bytes(&self) -> usize {
        self.number.len() + self.sample.len() - self.signature
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// `None`: there are not so many.
    #[must_use]
    pub fn token(&self, n: u64) -> Option<Token<'_>> {
        if n >= self.count {
            return None;
        }
        let (piece, within) = (n / self.in_a_piece, (n % self.in_a_piece) as usize);
        let own = self.own.get(piece as usize)?.get(within * self.own_bytes()..)?.get(..self.own_bytes())?;
        let (number, signature) = own.split_at(self.number.len());
        let sample = self.sample.as_bytes();
        Some(Token([&sample[..self.number.start], number, &sample[self.number.end..self.signature], signature]))
    }

    /// What it took, in words.
    pub fn words(&self) -> String {
        format!("{} tokens were signed beforehand in {:.2} s", self.count, self.took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pieces_of_every_token_make_one_that_is_believed() {
        let keys = Keys::random(&Entropy::seeded(7));
        for count in [0, 1, 2, 1_003] {
            let members = Members::sign(&keys, count).await.expect("signed");
            let verifier = Tokens::new(&keys).verifier;
            let mut names = std::collections::BTreeSet::new();
            for n in 0..count {
                let token = members.token(n).expect("as many as asked for").0.concat();
                let token = String::from_utf8(token).expect("ASCII");
                let principal = verifier.verify(&token, SystemClock.wall()).expect("believed");
                assert_eq!(principal.role, Role::Member);
                assert!(principal.account.as_str().ends_with(&format!("-{n:08}")), "{n}: {}", principal.account);
                names.insert(principal.account);
            }
            assert_eq!(names.len() as u64, count);
            assert!(members.token(count).is_none() && members.token(u64::MAX).is_none());
        }
    }
}
