//! How does somebody get an account? By showing that a mail address is theirs.
//!
//! Whoever signs up learns nothing about who else has: the answer, what is kept and the time it takes are the same for an
//! address that is taken. Several people can sign up with one address until one of them shows the code of their own mail:
//! so nobody's password gets into an account that somebody else confirms.

use serde::{Deserialize, Serialize};

use super::denied::Found;
use super::record::{Code, Person, Record};
use super::shelf::{read, written};
use super::store::{Document, Kind, Put, Stored};
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
    code: Code,
    /// The address is taken: nobody is told the code, and wrong ones are counted to look the same.
    taken: bool,
    /// A keyed hash of the request.
    asked: Hash16,
}

/// What a code came to with one sign-up.
enum Accepted {
    Made(AccountId),
    /// It is not this one's; `counted`: as a wrong try.
    No {
        counted: bool,
    },
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
        if asked.command.is_some()
            && let Some(known) = self.signed_up_before(&id, proof, asked).await?
        {
            return known.then_some((id, true)).ok_or_else(|| Denied::KeyReused.into());
        }
        let hash = self.0.passwords.hash(&password).await?;
        let taken = self.0.cabinet.by_alias(Kind::Account, &self.alias(&email)).await?;
        let (now, code) = (self.now(), MailCode::random(&self.0.entropy));
        let expected = Code::new(self.keyed(id.as_str(), code.as_str()), now);
        let waiting = Waiting { password: hash, code: expected, taken: taken.is_some(), asked: proof };
        let mailed = self.may_mail(&email).await?;
        let others = !self.waiting_for(&email, 1).await?.is_empty();
        let document = Document {
            // Without a mail nobody knows the code, and the request is all that is worth keeping. So nobody can bury
            // somebody's sign-up under a thousand others, and an erasure finds all that hold a person.
            family: mailed.then(|| self.alias(&email)),
            sealed: mailed.then(|| self.seal_person(&id, &person)).transpose()?,
            expires_at: Some(now.plus(limits::SIGN_UP_TIME)),
            ..Document::new(Kind::SignUp, id.as_str(), written(&waiting)?)
        };
        if self.0.cabinet.put(document, None).await? != Put::Done {
            // A twin was faster, and sends the mail.
            let same = self.signed_up_before(&id, proof, asked).await? == Some(true);
            return same.then_some((id, true)).ok_or_else(|| Denied::KeyReused.into());
        }
        if mailed {
            let letter = match taken {
                None => letters::verify(&email, &code, others),
                Some(_) => letters::taken(&email),
            };
            // A full queue is counted there; whoever waits in vain asks again.
            let _taken = self.0.post.send(letter);
        }
        self.trail("signed-up").of(&id).from(asked.from).noted().await;
        Ok((id, false))
    }

    /// The sign-ups with that address that wait.
    async fn waiting_for(&self, email: &Email, most: usize) -> Result<Vec<Stored>, Fault> {
        self.0.cabinet.family(Kind::SignUp, &self.alias(email), "", most).await
    }

    /// Is it known, and the same? Looking is counted: whoever knows somebody's key must not find the password by trying
    /// which body is the same.
    async fn signed_up_before(
        &self,
        id: &AccountId,
        proof: Hash16,
        asked: Asked,
    ) -> Result<Option<bool>, AccountError> {
        let waiting = self.0.cabinet.get(Kind::SignUp, id.as_str()).await?;
        let before = match &waiting {
            Some(stored) => Some(read::<Waiting>(stored)?.asked),
            None => self.account(id).await?.map(|kept| kept.record.begun_by),
        };
        let Some(before) = before else { return Ok(None) };
        let name = format!("again:{id}");
        let open = !self.count_failure(&name).await?.is_locked();
        if open && before == proof {
            self.forget_failure(&name).await?;
            return Ok(Some(true));
        }
        self.count_origin(asked).await?;
        Ok(Some(false))
    }

    /// Shows that the address is theirs: now there is an account. `true`: it has been shown with that code before.
    pub async fn verify(&self, email: String, code: String, asked: Asked) -> Result<bool, AccountError> {
        self.apart(|this| async move { this.confirm_address(&email, &code, asked).await }).await
    }

    async fn confirm_address(&self, text: &str, code: &str, asked: Asked) -> Result<bool, AccountError> {
        self.check_address(asked).await?;
        let (Some(email), Some(code)) = (Email::parse(text), MailCode::parse(code)) else {
            return self.wrong_code(text, false, asked).await;
        };
        let alias = self.alias(&email);
        let waiting = self.waiting_for(&email, limits::SIGN_UPS_PER_ADDRESS).await?;
        let mut tried = false;
        for stored in &waiting {
            match self.accept(stored, &alias, &code).await? {
                Accepted::No { counted } => tried |= counted,
                Accepted::Made(id) => {
                    for stored in &waiting {
                        self.0.cabinet.remove(Kind::SignUp, &stored.document.key).await?;
                    }
                    self.trail("verified").of(&id).from(asked.from).noted().await;
                    return Ok(false);
                }
            }
        }
        // The answer to the first time may have been lost.
        let known = self.account_of(&email).await?;
        let again = known.is_some_and(|kept| {
            kept.record.verified_with == Some(self.keyed(kept.id.as_str(), code.as_str()))
                && self.now() < kept.record.created_at.plus(limits::MAIL_CODE_TIME)
        });
        if again { Ok(true) } else { self.wrong_code(text, tried, asked).await }
    }

    /// Makes the account if this sign-up waits for that code; otherwise the try counts.
    async fn accept(&self, stored: &Stored, alias: &str, code: &MailCode) -> Result<Accepted, Fault> {
        let (now, id) = (self.now(), AccountId::new(stored.document.key.as_str()));
        let mut waiting: Waiting = read(stored)?;
        let hash = self.keyed(id.as_str(), code.as_str());
        if !waiting.code.is_open(now) {
            return Ok(Accepted::No { counted: false });
        }
        if waiting.taken || waiting.code.hash != hash {
            waiting.code.tries += 1;
            let document = Document { record: written(&waiting)?, ..stored.document.clone() };
            // Another try was counted instead, which is as good.
            let _counted = self.0.cabinet.put(document, Some(stored.version)).await?;
            return Ok(Accepted::No { counted: true });
        }
        let record = Record { begun_by: waiting.asked, ..Record::new(waiting.password, hash, now) };
        let document = Document {
            alias: Some(alias.to_owned()),
            sealed: stored.document.sealed.clone(),
            ..Document::new(Kind::Account, id.as_str(), written(&record)?)
        };
        match self.0.cabinet.put(document, None).await? {
            Put::Done => Ok(Accepted::Made(id)),
            // A twin of this request was faster, unless whoever it made has been erased since.
            Put::Conflict if self.account(&id).await?.is_some_and(|kept| kept.person.is_some()) => {
                Ok(Accepted::Made(id))
            }
            Put::Conflict | Put::AliasTaken => Ok(Accepted::No { counted: true }),
        }
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
