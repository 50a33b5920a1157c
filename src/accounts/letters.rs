//! What do our mails say? Texts for people, with as little about them as will do.

use super::record::Purpose;
use crate::auth::{Email, MailCode};
use crate::gateways::mail::Mail;
use crate::limits;

fn mail(to: &Email, subject: &str, text: String) -> Mail {
    Mail { to: to.as_str().to_owned(), subject: subject.to_owned(), text }
}

fn minutes() -> u64 {
    limits::MAIL_CODE_TIME.as_secs() / 60
}

/// Somebody signed up with this address; `others`: not the first one. Nothing that they say of themselves is in it: that
/// would be a way to send strangers whatever one likes.
pub(super) fn verify(to: &Email, code: &MailCode, others: bool) -> Mail {
    // Whoever shows the code of somebody else's sign-up would get an account with somebody else's password.
    let warning = if others {
        "\nThere was another sign-up with this address before. Take the code of the mail that came when you signed up, and \
         no other.\n"
    } else {
        ""
    };
    let text = format!(
        "Somebody signed up with this address.\n\n\
         If that was you, this code completes it within {} minutes:\n\n    {}\n\n\
         If it was not, do nothing: without the code there is no account.\n{warning}",
        minutes(),
        code.as_str()
    );
    mail(to, "Your code to sign up", text)
}

/// Somebody signed up with an address that has an account.
pub(super) fn taken(to: &Email) -> Mail {
    let text = "Somebody signed up with this address, which has an account already. Nothing was changed.\n\n\
                If that was you, sign in as usual, or ask for a new password.\n";
    mail(to, "You have an account already", text.to_owned())
}

/// A code that somebody asked for.
pub(super) fn code(to: &Email, purpose: Purpose, code: &MailCode) -> Mail {
    let (subject, why) = match purpose {
        Purpose::Verify => ("Your code to sign up", "This code completes your sign-up"),
        Purpose::Reset => {
            ("Your code for a new password", "Somebody asked for a new password. If that was you, this code sets one")
        }
        Purpose::Unlock => (
            "Your code to unlock your account",
            "There were many failures to sign in to your account. If you want to open it again now, this code does",
        ),
    };
    let text = format!(
        "{why}, within {} minutes:\n\n    {}\n\nIf you did not ask for it, do nothing.\n",
        minutes(),
        code.as_str()
    );
    mail(to, subject, text)
}
