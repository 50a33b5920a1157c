//! Do mails arrive, whole and at least once, and does nobody wait for them?

mod files;
mod letters;
mod post;
mod server;
mod smtp;

use std::sync::Arc;

use super::{Letterhead, Mail};
use crate::clock::{Entropy, SystemClock};

pub(super) use server::{Server, until};

/// A person whose address must stand in no error.
pub(super) const SOMEBODY: &str = "kim.minsu@example.com";

pub(super) fn head() -> Letterhead {
    Letterhead::new("온세일 <no-reply@onsale.example>", Arc::new(SystemClock), Entropy::from_system())
        .expect("an address")
}

pub(super) fn mail(subject: &str) -> Mail {
    Mail {
        to: SOMEBODY.into(), subject: subject.into(), text: format!("{subject}: 인증 코드는 0123 4567 입니다.\n")
    }
}
