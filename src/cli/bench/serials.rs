//! Which serials of a coupon were given away? As clients were told, or as the log has them; and whether the two agree.

/// A set of serials, one bit each, and what was wrong with those that did not fit.
#[derive(Clone, Debug, Default)]
pub struct Serials {
    bits: Vec<u64>,
    /// Different ones within the stock.
    pub count: u64,
    twice: Strange,
    outside: Strange,
}

/// How many, and the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Strange {
    count: u64,
    first: u64,
}

impl Strange {
    fn note(&mut self, serial: u64) {
        if self.count == 0 {
            self.first = serial;
        }
        self.count += 1;
    }
}

impl Serials {
    /// Notes one of a coupon with that stock. The stock bounds the memory that this takes.
    pub fn note(&mut self, serial: u64, stock: u64) {
        if serial == 0 || serial > stock {
            return self.outside.note(serial);
        }
        let (word, bit) = ((serial / 64) as usize, 1 << (serial % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit != 0 {
            return self.twice.note(serial);
        }
        self.bits[word] |= bit;
        self.count += 1;
    }

    /// How many of ours the other one does not have, and the first of them.
    fn missing_in(&self, other: &Self) -> Strange {
        let mut missing = Strange::default();
        for (word, bits) in self.bits.iter().enumerate() {
            let lacking = bits & !other.bits.get(word).copied().unwrap_or(0);
            if lacking != 0 && missing.count == 0 {
                missing.first = word as u64 * 64 + u64::from(lacking.trailing_zeros());
            }
            missing.count += u64::from(lacking.count_ones());
        }
        missing
    }

    /// What is wrong with these by themselves, where `whose` tells whose they are.
    fn faults(&self, whose: &str, stock: u64) -> Vec<String> {
        let told = |what: &str, Strange { count, first }: Strange| {
            (count > 0).then(|| format!("{count} serials {whose} {what}, such as {first}"))
        };
        let outside = told(&format!("are not within 1 to {stock}"), self.outside);
        told("are there twice", self.twice).into_iter().chain(outside).collect()
    }
}

/// Does the log keep what the answers promised? Every serial that was told is in it, none was given twice, and there are no
/// more than the stock. `unknown`: requests whose outcome nobody told us; without any, the log has nothing else.
pub fn judge(coupon: &str, stock: u64, answers: &Serials, log: &Serials, unknown: u64) -> Vec<String> {
    let mut wrong = answers.faults("of the answers", stock);
    wrong.extend(log.faults("of the log", stock));
    let missing = answers.missing_in(log);
    if missing.count > 0 {
        wrong.push(format!("{} that were told are not in the log, such as {}", missing.count, missing.first));
    }
    let extra = log.missing_in(answers);
    if extra.count > unknown {
        let (count, first) = (extra.count, extra.first);
        wrong.push(format!("{count} in the log were told to nobody, such as {first}; {unknown} outcomes are unknown"));
    }
    wrong.into_iter().map(|what| format!("{coupon}: {what}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(serials: &[u64]) -> Serials {
        let mut all = Serials::default();
        serials.iter().for_each(|serial| all.note(*serial, 100));
        all
    }

    #[test]
    fn agreement_is_agreement() {
        assert_eq!(of(&[1, 64, 65, 100]).count, 4);
        for (answers, log, unknown) in
            [(&[][..], &[][..], 0), (&[1, 2, 64, 100], &[100, 64, 2, 1], 0), (&[2], &[1, 2], 1)]
        {
            assert_eq!(judge("c", 100, &of(answers), &of(log), unknown), [""; 0], "{answers:?} {log:?}");
        }
    }

    #[test]
    fn every_disagreement_is_found() {
        let table: [(&[u64], &[u64], u64, &str); 8] = [
            (&[1, 2, 2], &[1, 2], 0, "1 serials of the answers are there twice, such as 2"),
            (&[1, 2], &[1, 2, 1], 0, "1 serials of the log are there twice, such as 1"),
            (&[1, 101], &[1], 0, "1 serials of the answers are not within 1 to 100, such as 101"),
            (&[0, 0], &[], 0, "2 serials of the answers are not within 1 to 100, such as 0"),
            (&[1], &[1, 101], 0, "1 serials of the log are not within 1 to 100, such as 101"),
            (&[1, 70, 71], &[1], 5, "2 that were told are not in the log, such as 70"),
            (&[1], &[1, 3], 0, "1 in the log were told to nobody, such as 3; 0 outcomes are unknown"),
            (&[1], &[1, 2, 3], 1, "2 in the log were told to nobody, such as 2; 1 outcomes are unknown"),
        ];
        for (answers, log, unknown, expected) in table {
            let wrong = judge("c", 100, &of(answers), &of(log), unknown);
            assert_eq!(wrong, [format!("c: {expected}")], "{answers:?} {log:?}");
        }
    }
}
