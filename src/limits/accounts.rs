//! How much of people's accounts is kept, for how long, and how often may somebody fail? As everywhere in `limits`, a name, a unit,
//! and a proof where two of them depend on one another.

use std::time::Duration;

use super::{SHUTDOWN_TIME, TICKET_RECONNECT};

/// Characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 8;
pub const PASSWORD_CHARS: usize = 128;
/// Bytes of a text that can be a password at all: before it is normalised, a character may be several.
pub const PASSWORD_BYTES: usize = 4 << 10;
/// Characters of a password that are searched for what people guess first, and ways to read signs as letters (`4` and `@`
/// as `a`) that are tried: the search takes longer than they are many.
pub const GUESSED_CHARS: usize = 32;
pub const GUESSED_READINGS: usize = 64;
/// Words about a person that must not be all of a password.
pub const GUESSED_WORDS: usize = 32;
/// Argon2id: memory of one hash in KiB, passes over it, lanes.
pub const HASH_KIB: u32 = 19 << 10;
pub const HASH_PASSES: u32 = 2;
pub const HASH_LANES: u32 = 1;
/// What a stored hash may ask for besides that.
pub const HASH_PASSES_MAX: u32 = 8;
pub const HASH_LANES_MAX: u32 = 4;
/// Passwords hashed at once, each in a memory of its own that is kept, and those that wait for it.
pub const HASHES_AT_ONCE: usize = 2;
pub const HASHES_WAITING: usize = 512;
/// Such a memory is given back when nobody has hashed for so long.
pub const HASH_MEMORY_IDLE: Duration = Duration::from_secs(60);
/// How much the threads that hash give way to those that sell.
pub const HASH_NICENESS: i32 = 5;
/// Steps of 30 s that a second factor may be off, before and after.
pub const TOTP_SKEW: u16 = 1;
/// Characters of the account that an authenticator shows.
pub const TOTP_LABEL_CHARS: usize = 100;
/// Recovery codes of an account.
pub const RECOVERY_CODES: usize = 10;
/// Characters that are read of a code that somebody typed.
pub const TYPED_CODE_BYTES: usize = 128;
/// Bytes of an e-mail address, and of what stands before its @.
pub const EMAIL_BYTES: usize = 254;
pub const EMAIL_LOCAL_BYTES: usize = 64;
/// Characters of a nickname.
pub const NICKNAME_CHARS: usize = 30;
/// Digits of a telephone number, and characters of one that was typed.
pub const PHONE_DIGITS_MIN: usize = 7;
pub const PHONE_DIGITS: usize = 15;
pub const PHONE_CHARS: usize = 40;

/// Mails that wait to be sent for the first time; beyond it they are not taken.
pub const MAILS_WAITING: usize = 1_000;
/// Mails that wait to be tried again; beyond it, those that wait for the first time go on waiting.
pub const MAILS_DEFERRED: usize = 1_000;
/// Mails being sent at once, each over a connection of its own.
pub const MAILS_AT_ONCE: usize = 4;
/// One try to send a mail ends within this.
pub const MAIL_CALL: Duration = Duration::from_secs(10);
/// Whether a kept connection still stands is found out within this.
pub const MAIL_PROBE: Duration = Duration::from_secs(2);
/// A mail that was not taken is tried again after this, then after twice as long, up to the maximum, so often in all.
pub const MAIL_BACKOFF: Duration = Duration::from_millis(500);
pub const MAIL_BACKOFF_MAX: Duration = Duration::from_secs(60);
pub const MAIL_TRIES: u32 = 17;
/// When a node stops, what waits is tried once more within this.
pub const MAIL_GOODBYE: Duration = Duration::from_secs(2);
const _: () = assert!(MAIL_GOODBYE.as_secs() < SHUTDOWN_TIME.as_secs() - 3, "it keeps no node from stopping");
/// Mails kept as files; the oldest go.
pub const MAILS_KEPT: usize = 1_000;

/// Connections to the accounts, which are asked when people sign in and not when they buy.
pub const ACCOUNT_CONNECTIONS: u32 = 4;
/// What was revoked is read again that long after it was noted, in case it was noted before it could be seen.
pub const REVOKED_OVERLAP: Duration = Duration::from_secs(60);
/// Expired documents that are removed at once.
pub const ACCOUNTS_SWEPT: usize = 1_000;
/// Changes of one account that meet are tried so often.
pub const ACCOUNT_TRIES: u32 = 8;
/// Commands of an account whose repetition is known as one.
pub const ACCOUNT_COMMANDS: usize = 16;
/// Expired documents are removed that often.
pub const ACCOUNTS_SWEEP: Duration = Duration::from_secs(60);
/// The trail of what happened to accounts goes back that far.
pub const TRAIL_TIME: Duration = Duration::from_secs(400 * 86_400);
/// Failures to sign in that change nothing; each further one doubles the pause, which begins with this and ends with that.
pub const FAILURES_FREE: u32 = 10;
pub const FAILURE_PAUSE: Duration = Duration::from_secs(1);
pub const FAILURE_LOCK: Duration = Duration::from_secs(900);
/// The owner of an account is told of the failure with this number, and how to open it at once.
pub const FAILURES_TOLD: u32 = 16;
const _: () = assert!(FAILURES_TOLD > FAILURES_FREE, "nobody is told of a pause that there is not");
/// Failures are forgotten when there was none for so long.
pub const FAILURES_REMEMBERED: Duration = Duration::from_secs(86_400);
/// Mails with codes to one address within an hour.
pub const MAILS_AN_HOUR: u32 = 6;
/// A mailed code is good for so long and so many tries.
pub const MAIL_CODE_TIME: Duration = Duration::from_secs(1_800);
pub const MAIL_CODE_TRIES: u32 = 5;
/// A sign-up waits that long for its code, and so many wait for one address.
pub const SIGN_UP_TIME: Duration = Duration::from_secs(86_400);
pub const SIGN_UPS_PER_ADDRESS: usize = 50;
/// Wrong codes of a second factor that lock an account, and digits of a code.
pub const TOTP_TRIES: u32 = 5;
pub const TOTP_DIGITS: usize = 6;
/// An access token is good for so long; a session that is not used, for so long; any session at most for so long.
pub const ACCESS_TIME: Duration = Duration::from_secs(600);
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 86_400);
pub const SESSION_TIME: Duration = Duration::from_secs(180 * 86_400);
/// A refresh whose answer was lost can be asked for again under the same key for so long.
pub const SESSION_REPEAT: Duration = Duration::from_secs(60);
/// Whatever was signed for a session or an account is good no longer than that.
pub const SESSION_REVOKED: Duration = Duration::from_secs(13 * 3_600);
const _: () =
    assert!(SESSION_REVOKED.as_secs() > TICKET_RECONNECT.as_secs() + ACCESS_TIME.as_secs(), "none outlives it");
/// What people are told about names and numbers.
pub const NICKNAME_RULE: &str = "must be 1 to 30 characters without control characters";
pub const PHONE_RULE: &str = "must be 7 to 15 digits, perhaps with +, spaces and dashes";
