//! How does somebody get an account? By showing that a mail address is theirs.
//!
//! Whoever signs up learns nothing about who else has: the answer, what is kept and the time it takes are the same for an
//! address that is taken. Several people can sign up with one address until one of them shows the code of their own mail:
//! so nobody's password gets into an account that somebody else confirms.

use serde::{Deserialize, Serialize};

use super::denied::Found;
use super::record::{Code, Person, Purpose, Record};
use super::shelf::{read, written};
use super::store::{Document, Kind, Put, Stored};
use super::throttle::Mails;
use super::{AccountError, Accounts, Asked, Denied, letters};
use crate::auth::email::{nickname, phone};
use crate::auth::{Email, MailCode, Password};
use crate::fault::Fault;
use crate::ids::{AccountId, Hash16};
use crate::limits;

/// What somebody says who signs up.
pub struct SignUp {
    pub email: String,
    pub password: String,
    pub nickname: String,
    pub phone: Option<String>,
}

/// A sign-up that waits for its code.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    password: String,
    /// `None`: the address is taken, and this is here only to look the same.
    code: Option<Code>,
    /// A keyed hash of the request.
    asked: Hash16,
}

impl Accounts {
    /// The id that the account will have; `true`: this request came before.
    pub async fn sign_up(&self, wish: SignUp, asked: Asked) -> Result<(AccountId, bool), AccountError> {
        self.apart(|this| async move { this.begin(wish, asked).await }).await
    }

    async fn begin(&self, wish: SignUp, asked: Asked) -> Result<(AccountId, bool), AccountError> {
        let (email, password, person) = checked(&wish)?;
        self.bind_seal().await?;
        let command = asked.command.unwrap_or_else(|| self.0.entropy.hash16());
        let id = AccountId::new(format!("ac_{command}"));
        let proof = self.keyed("sign-up", &asked.body.to_string());
        if let Some(stored) = self.0.cabinet.get(Kind::SignUp, id.as_str()).await? {
            let same = read::<Waiting>(&stored)?.asked == proof;
            return if same { Ok((id, true)) } else { Err(Denied::KeyReused.into()) };
        }
        let hash = self.0.passwords.hash(&password).await?;
        let taken = self.0.cabinet.by_alias(Kind::Account, &self.alias(&email)).await?;
        let (now, code) = (self.now(), MailCode::random(&self.0.entropy));
        let expected = Code::new(self.keyed(id.as_str(), code.as_str()), now);
        let waiting = Waiting { password: hash, code: taken.is_none().then_some(expected), asked: proof };
        let document = Document {
            family: Some(self.alias(&email)),
            sealed: Some(self.seal_person(&id, &person)?),
            expires_at: Some(now.plus(limits::SIGN_UP_TIME)),
            ..Document::new(Kind::SignUp, id.as_str(), written(&waiting)?)
        };
        // Of two twins the first sends the mail.
        let first = self.0.cabinet.put(document, None).await? == Put::Done;
        if first && self.may_mail(&email).await? {
            let letter = match taken {
                None => letters::verify(&email, &person.nickname, &code),
                Some(_) => letters::taken(&email),
            };
            // A full queue is counted there; whoever waits in vain asks again.
            let _taken = self.0.post.send(letter);
        }
        self.trail("signed-up").of(&id).from(asked.from).noted().await;
        Ok((id, !first))
    }

    /// Shows that the address is theirs: now there is an account.
    pub async fn verify(&self, email: String, code: String, asked: Asked) -> Result<(), AccountError> {
        self.apart(|this| async move { this.confirm_address(&email, &code, asked).await }).await
    }

    async fn confirm_address(&self, email: &str, code: &str, asked: Asked) -> Result<(), AccountError> {
        let (Some(email), Some(code)) = (Email::parse(email), MailCode::parse(code)) else {
            return Err(Denied::CodeInvalid.into());
        };
        let alias = self.alias(&email);
        let waiting = self.0.cabinet.family(Kind::SignUp, &alias, "", limits::SIGN_UPS_PER_ADDRESS).await?;
        for stored in &waiting {
            if let Some(id) = self.accept(stored, &alias, &code).await? {
                for stored in &waiting {
                    self.0.cabinet.remove(Kind::SignUp, &stored.document.key).await?;
                }
                self.trail("verified").of(&id).from(asked.from).noted().await;
                return Ok(());
            }
        }
        // The answer to the first time may have been lost.
        let known = self.account_of(&email).await?;
        let again = known.is_some_and(|kept| {
            kept.record.verified_with == Some(self.keyed(kept.id.as_str(), code.as_str()))
                && self.now() < kept.record.created_at.plus(limits::MAIL_CODE_TIME)
        });
        if again { Ok(()) } else { Err(Denied::CodeInvalid.into()) }
    }

    /// Makes the account if this sign-up waits for that code; otherwise the try counts.
    async fn accept(&self, stored: &Stored, alias: &str, code: &MailCode) -> Result<Option<AccountId>, Fault> {
        let (now, id) = (self.now(), AccountId::new(stored.document.key.as_str()));
        let mut waiting: Waiting = read(stored)?;
        let hash = self.keyed(id.as_str(), code.as_str());
        let Some(expected) = waiting.code.as_mut().filter(|code| code.is_open(now)) else { return Ok(None) };
        if expected.hash != hash {
            expected.tries += 1;
            let document = Document { record: written(&waiting)?, ..stored.document.clone() };
            // Another try was counted instead, which is as good.
            let _counted = self.0.cabinet.put(document, Some(stored.version)).await?;
            return Ok(None);
        }
        let document = Document {
            alias: Some(alias.to_owned()),
            sealed: stored.document.sealed.clone(),
            ..Document::new(Kind::Account, id.as_str(), written(&Record::new(waiting.password, hash, now))?)
        };
        match self.0.cabinet.put(document, None).await? {
            // A conflict: a twin of this request was faster.
            Put::Done | Put::Conflict => Ok(Some(id)),
            Put::AliasTaken => Ok(None),
        }
    }

    /// Counts a mail to that address, unless it had too many. Nobody learns which.
    pub(super) async fn may_mail(&self, email: &Email) -> Result<bool, Fault> {
        let now = self.now();
        let key = format!("mail:{}", self.alias(email));
        let one_more = |mails: Mails| match mails.one_more(now) {
            Some(next) => {
                let ends_at = next.ends_at();
                (true, Some((next, ends_at)))
            }
            None => (false, None),
        };
        self.small(Kind::Throttle, &key, one_more).await
    }

    /// Mails a code for that purpose to an account, and remembers it.
    pub(super) async fn mail_code(
        &self,
        id: &AccountId,
        person: &Person,
        purpose: Purpose,
    ) -> Result<(), AccountError> {
        let Some(email) = Email::parse(&person.email) else { return Ok(()) };
        if !self.may_mail(&email).await? {
            return Ok(());
        }
        let code = MailCode::random(&self.0.entropy);
        let hash = self.keyed(&format!("{}:{id}", purpose.as_str()), code.as_str());
        let now = self.now();
        self.change(id, |kept| {
            kept.record.codes.insert(purpose, Code::new(hash, now));
            Ok(super::shelf::Ruled((), true))
        })
        .await?;
        let _taken = self.0.post.send(letters::code(&email, purpose, &code));
        Ok(())
    }

    /// The keyed hash that a code for that purpose must have.
    pub(super) fn code_hash(&self, id: &AccountId, purpose: Purpose, code: &MailCode) -> Hash16 {
        self.keyed(&format!("{}:{id}", purpose.as_str()), code.as_str())
    }
}

fn checked(wish: &SignUp) -> Result<(Email, Password, Person), Denied> {
    let mut found = Found::default();
    let email = found.take("/email", Email::parse(&wish.email), "must be a mail address");
    let called = found.take("/nickname", nickname(&wish.nickname), limits::NICKNAME_RULE);
    let password = found.password("/password", Password::new(&wish.password, &[&wish.email, &wish.nickname]));
    let number = match &wish.phone {
        None => Some(None),
        Some(text) => found.take("/phone", phone(text), limits::PHONE_RULE).map(Some),
    };
    match (email, called, password, number) {
        (Some(email), Some(nickname), Some(password), Some(phone)) => {
            let person = Person { email: email.as_str().to_owned(), nickname, phone, seed: None };
            Ok((email, password, person))
        }
        _ => Err(found.denied()),
    }
}
