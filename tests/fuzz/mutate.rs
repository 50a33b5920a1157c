//! What does damaged input look like? A seed with a few bits, bytes, words or numbers of it changed: the same ones in each run.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What parsers have stumbled over before.
const WORDS: &[&[u8]] = &[
    b"null",
    b"NaN",
    b"-1",
    b"0",
    b"1e3",
    b"0.1",
    b"9007199254740992",
    b"9223372036854775808",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"\"\"",
    b"\"100\"",
    b"\\ud800",
    b"\\u0000",
    b"\xe2\x80\xae",
    b"\xff",
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"{\"a\":",
    b",",
    b"%00",
    b"%",
    b"..",
    b"/",
    b"&limit=0",
    b"+09:00",
    b"0000-01-01T00:00:00Z",
    b"9999-12-31T23:59:59.999999999Z",
    b"2024-02-30T25:61:61+99:99",
    &[251, 255, 255],
    &[252, 255, 255, 255, 255],
    &[253, 255, 255, 255, 255, 255, 255, 255, 255],
    &[254, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
];

pub struct Damage(StdRng);

impl Damage {
    pub fn new(name: &str) -> Self {
        let seed = name.bytes().fold(17_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self(StdRng::seed_from_u64(seed))
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// One of the seeds, damaged in one to four places.
    pub fn one_of(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.damage(&mut input, seeds);
        }
        input
    }

    fn damage(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len());
        let end = (at + 1 + self.below(12)).min(input.len());
        match self.below(9) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = self.0.random(),
            2 => drop(input.drain(at..end)),
            3 => input.truncate(at),
            4 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            5 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                let piece = other[from..(from + 1 + self.below(40)).min(other.len())].to_vec();
                input.splice(at..end, piece);
            }
            6 => self.number(input, at),
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                let keep = self.below(2) == 0;
                input.splice(at..if keep { at } else { end }, word.iter().copied());
            }
        }
    }

    /// The next number in the text becomes a word.
    fn number(&mut self, input: &mut Vec<u8>, from: usize) {
        let Some(start) = (from..input.len()).find(|i| input[*i].is_ascii_digit()) else { return };
        let end = (start..input.len()).find(|i| !input[*i].is_ascii_digit()).unwrap_or(input.len());
        let word = WORDS[self.below(WORDS.len())];
        input.splice(start..end, word.iter().copied());
    }
}
