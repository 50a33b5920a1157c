//! Where does one event end and the next begin? Bytes of a chunked HTTP answer in, whole events out. No text is decoded and,
//! as long as pieces come whole, nothing is copied: hundreds of thousands of events a second go through here.

/// What is left over of a piece that was cut. Empty, and without memory, as long as pieces come whole.
#[derive(Default)]
pub struct Scanner {
    /// Of a chunk.
    raw: Vec<u8>,
    /// Of an event.
    text: Vec<u8>,
}

/// Why a stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The answer ended in good order.
    Ended,
    /// Not what HTTP says that a chunked answer is.
    Garbled,
}

impl Scanner {
    /// Gives every event that ends in `input` (or in what was left over and `input`) to `take`, with its empty line.
    pub fn feed(&mut self, input: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), Stop> {
        if self.raw.is_empty() {
            let rest = self.chunks(input, &mut take)?;
            self.raw.extend_from_slice(rest);
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.raw);
        whole.extend_from_slice(input);
        let rest = self.chunks(&whole, &mut take)?;
        self.raw.extend_from_slice(rest);
        Ok(())
    }

    /// What is left over.
    fn chunks<'a>(&mut self, mut rest: &'a [u8], take: &mut impl FnMut(&[u8])) -> Result<&'a [u8], Stop> {
        while let Some((size, head)) = chunk_head(rest)? {
            if size == 0 {
                return Err(Stop::Ended);
            }
            let end = head + size;
            if rest.len() < end + 2 {
                break;
            }
            if &rest[end..end + 2] != b"\r\n" {
                return Err(Stop::Garbled);
            }
            self.events(&rest[head..end], take);
            rest = &rest[end + 2..];
        }
        Ok(rest)
    }

    fn events(&mut self, piece: &[u8], take: &mut impl FnMut(&[u8])) {
        if self.text.is_empty() {
            let rest = split(piece, take);
            self.text.extend_from_slice(rest);
            return;
        }
        let mut whole = std::mem::take(&mut self.text);
        whole.extend_from_slice(piece);
        let rest = split(&whole, take);
        self.text.extend_from_slice(rest);
    }
}

/// The chunk's size and where its bytes begin; `None` while its first line is not whole.
fn chunk_head(bytes: &[u8]) -> Result<Option<(usize, usize)>, Stop> {
    /// More hexadecimal digits than any chunk needs.
    const LINE: usize = 16;
    let Some(end) = memchr::memchr(b'\n', &bytes[..bytes.len().min(LINE)]) else {
        return if bytes.len() < LINE { Ok(None) } else { Err(Stop::Garbled) };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or(Stop::Garbled)?;
    let digits = std::str::from_utf8(line).map_err(|_| Stop::Garbled)?;
    let size = usize::from_str_radix(digits, 16).map_err(|_| Stop::Garbled)?;
    Ok(Some((size, end + 1)))
}

/// Gives whole events to `take`; what is left over begins the next one.
fn split<'a>(mut rest: &'a [u8], take: &mut impl FnMut(&[u8])) -> &'a [u8] {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\n', &rest[from..]).map(|at| from + at) {
        from = at + 1;
        if rest.get(from) == Some(&b'\n') {
            take(&rest[..=from]);
            rest = &rest[from + 1..];
            from = 0;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(text: &str) -> String {
        format!("{:x}\r\n{text}\r\n", text.len())
    }

    fn all(scanner: &mut Scanner, pieces: &[&[u8]]) -> (Vec<String>, Result<(), Stop>) {
        let mut seen = Vec::new();
        for piece in pieces {
            let fed = scanner.feed(piece, |event| seen.push(String::from_utf8_lossy(event).into_owned()));
            if fed.is_err() {
                return (seen, fed);
            }
        }
        (seen, Ok(()))
    }

    const EVENTS: [&str; 4] =
        ["retry: 2500\n\n", "id: 3:7\nevent: payment\ndata: {\"a\":1}\n\n", ": hb\n\n", "id: 3:9\ndata: {}\n\n"];

    #[test]
    fn a_stream_in_one_piece() {
        let text: String = chunk(EVENTS[0]) + &chunk(&(EVENTS[1].to_owned() + EVENTS[2])) + &chunk(EVENTS[3]);
        let mut scanner = Scanner::default();
        assert_eq!(all(&mut scanner, &[text.as_bytes()]), (EVENTS.map(str::to_owned).to_vec(), Ok(())));
        assert!(scanner.raw.capacity() == 0 && scanner.text.capacity() == 0);
        assert_eq!(all(&mut scanner, &[b"0\r\n\r\n"]).1, Err(Stop::Ended));
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        for junk in ["x\r\n", "\r\n", "5\nhello\n", "2\r\nabcd", "12345678901234567890", "-1\r\n"] {
            assert_eq!(all(&mut Scanner::default(), &[junk.as_bytes()]).1, Err(Stop::Garbled), "{junk:?}");
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_events_are_the_same(
            chunks in prop::collection::vec(1_usize..20, 0..12), cuts in prop::collection::vec(1_usize..40, 0..20),
        ) {
            let text = EVENTS.concat();
            let (mut rest, mut raw) = (text.as_str(), String::new());
            for size in chunks {
                let (one, other) = rest.split_at(size.min(rest.len()));
                if !one.is_empty() {
                    raw += &chunk(one);
                }
                rest = other;
            }
            if !rest.is_empty() {
                raw += &chunk(rest);
            }
            let (mut bytes, mut pieces) = (raw.as_bytes(), Vec::new());
            for cut in cuts {
                let (one, other) = bytes.split_at(cut.min(bytes.len()));
                pieces.push(one);
                bytes = other;
            }
            pieces.push(bytes);
            let (seen, fed) = all(&mut Scanner::default(), &pieces);
            prop_assert_eq!(fed, Ok(()));
            prop_assert_eq!(seen, EVENTS.map(str::to_owned).to_vec());
        }
    }
}
