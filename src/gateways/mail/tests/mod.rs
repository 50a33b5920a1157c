//! Do mails arrive, once at least, and does nobody wait for them?
