//! Who brings the mails away? The mail server of the configuration, or files in the data directory.

use std::sync::Arc;

use crate::clock::{Clock, Entropy};
use crate::config::{Config, ConfigError};
use crate::gateways::mail::{Files, Letterhead, SharedMailer, Smtp, SmtpOptions};
use crate::limits;

/// The directory below the data directory.
const DIRECTORY: &str = "mail";

/// Connects to nobody: a mail server that is gone keeps no node from starting. Addresses of the wrong kind do.
pub fn mailer(config: &Config, clock: Arc<dyn Clock>, entropy: Entropy) -> Result<SharedMailer, ConfigError> {
    let mail = &config.mail;
    let head = Letterhead::new(&mail.from, clock, entropy).ok_or_else(|| {
        ConfigError::new("mail.from", "must be an address, for example onsale <no-reply@example.com>")
    })?;
    if mail.url.is_set() {
        let options = SmtpOptions { url: mail.url.expose().to_owned(), head, call_time: limits::MAIL_CALL };
        let smtp = Smtp::new(options).map_err(|problem| ConfigError::new("mail.url", problem))?;
        return Ok(Arc::new(smtp));
    }
    let directory = config.data.dir.join(DIRECTORY);
    let place = directory.display().to_string();
    let files = Files::open(directory, head);
    let files = files.map_err(|error| ConfigError::new("mail.url", format!("is empty, and {place}: {error}")))?;
    Ok(Arc::new(files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn opened(mail: &str) -> Result<(), String> {
        let data = std::env::temp_dir().join(format!("onsale-mailer-{}", Entropy::from_system().hash16()));
        let file = format!("[data]\ndir = \"{}\"\n[mail]\n{mail}", data.display());
        let config = Config::from_parts(Some(("my.toml", &file)), Vec::new(), &[]).map_err(|e| e.to_string())?;
        let opened = mailer(&config, Arc::new(SystemClock), Entropy::from_system());
        let made = data.join(DIRECTORY).is_dir();
        let _cleared = std::fs::remove_dir_all(&data);
        assert_eq!(made, opened.is_ok() && !config.mail.url.is_set(), "files only where no server is named");
        opened.map(drop).map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn what_was_configured_is_checked_and_not_repeated() {
        let table = [
            ("", Ok(())),
            ("from = \"온세일 <no-reply@example.com>\"", Ok(())),
            ("url = \"smtps://u:hunter2@mail.example.com\"", Ok(())),
            ("url = \"smtp://u:hunter2%40@mail.example.com:2525\"", Ok(())),
            ("url = \"smtp://127.0.0.1:25\"", Ok(())),
            ("url = \"smtp://[::1]:25/\"", Ok(())),
            ("from = \"nobody\"", Err("mail.from: must be an address")),
            ("from = \"a@example.com\\nBcc: b@example.com\"", Err("mail.from: must be an address")),
            ("url = \"hunter2\"", Err("mail.url: is not an address")),
            ("url = \"http://u:hunter2@example.com\"", Err("mail.url: must start with")),
            ("url = \"smtps://u:hunter2@example.com/x?tls=none\"", Err("mail.url: has something after the port")),
            ("url = \"smtps://hunter2@example.com\"", Err("mail.url: has a user without a password")),
            ("url = \"smtps://u:hunter2%zz@example.com\"", Err("mail.url: has a user or a password")),
            ("url = \"smtps://\"", Err("mail.url: ")),
        ];
        for (mail, expected) in table {
            match (opened(mail), expected) {
                (Ok(()), Ok(())) => {}
                (Err(got), Err(expected)) => assert!(got.starts_with(expected) && !got.contains("hunter2"), "{got}"),
                (got, expected) => panic!("{mail}: {got:?}, expected {expected:?}"),
            }
        }
    }
}
