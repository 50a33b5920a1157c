//! How does an account open again that too many failures have locked? By a mailed code.

use super::record::Purpose;
use super::shelf::Ruled;
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::MailCode;

impl Accounts {
    /// Without a code, one is mailed to whoever has that address, if anybody does.
    pub async fn unlock(&self, email: String, code: Option<String>, asked: Asked) -> Result<(), AccountError> {
        let Some(code) = code else { return self.mail_to(email, Purpose::Unlock, asked).await };
        self.apart(|this| async move {
            let kept = this.addressed(&email, asked).await?;
            if asked.command.is_some_and(|command| kept.record.done.contains(&command)) {
                return Ok(());
            }
            let code = MailCode::parse(&code).ok_or(Denied::CodeInvalid)?;
            let expected = this.code_hash(&kept.id, Purpose::Unlock, &code);
            let now = this.now();
            let done = this.change(&kept.id, |kept| {
                kept.record.redeem(Purpose::Unlock, expected, now)?;
                kept.record.repeats(asked.command);
                if let Some(factor) = &mut kept.record.factor {
                    factor.wrong = 0;
                }
                Ok(Ruled((), true))
            });
            this.unless_wrong(done.await, asked).await?;
            this.open_again(&email).await?;
            this.trail("unlocked").of(&kept.id).from(asked.from).noted().await;
            Ok(())
        })
        .await
    }
}
