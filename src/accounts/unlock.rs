//! How does an account open again that too many failures have locked? By a mailed code.

use super::record::Purpose;
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::MailCode;

impl Accounts {
    /// Without a code, one is mailed to whoever has that address, if anybody does. `true`: this request came before.
    pub async fn unlock(&self, email: String, code: Option<String>, asked: Asked) -> Result<bool, AccountError> {
        let Some(code) = code else { return self.mail_to(email, Purpose::Unlock, asked).await };
        self.apart(|this| async move {
            let kept = this.shown(&email, &code, Purpose::Unlock, asked).await?;
            let expected = MailCode::parse(&code).map(|code| this.code_hash(&kept.id, Purpose::Unlock, &code));
            let (expected, now) = (expected.ok_or(Denied::CodeInvalid)?, this.now());
            let rule = |kept: &mut super::shelf::Kept| {
                kept.record.redeem(Purpose::Unlock, expected, now)?;
                if let Some(factor) = &mut kept.record.factor {
                    factor.wrong = 0;
                }
                Ok(())
            };
            let replayed = this.change_once(&kept.id, asked, rule).await?;
            // Also for whoever repeats it: the first time may have ended before this.
            this.open_again(&email).await?;
            if !replayed {
                this.trail("unlocked").of(&kept.id).from(asked.from).noted().await;
            }
            Ok(replayed)
        })
        .await
    }
}
