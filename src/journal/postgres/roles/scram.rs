//! How does a password become what Postgres stores of it? Computed here (RFC 5802, SHA-256), so that no server, statement
//! log or statistics ever see the password.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What Postgres itself uses.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("it is not zero");

/// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`. The password is of printable ASCII: all others would
/// have to be normalised first.
pub fn verifier(password: &str, salt: &[u8; 16]) -> String {
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let (salt, stored, server) = (STANDARD.encode(salt), STANDARD.encode(stored), STANDARD.encode(server));
    format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Salt and password of the example in RFC 7677; the keys as Postgres 15 derives them.
    #[test]
    fn the_known_example() {
        let salt: [u8; 16] = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let made = verifier("pencil", &salt);
        assert_eq!(
            made,
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
             wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert!(!made.contains("pencil"));
    }
}
