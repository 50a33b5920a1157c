//! Who waits for the mail server? One task with a bounded queue, so that no request and no shutdown ever does.
//!
//! Several mails are under way at once, and one that must wait holds up no other. A mail that was not taken is tried
//! again with growing pauses for about ten minutes; longer, and the code in it is worth nothing. What waits lives in
//! memory only: a mail that is lost with the process is asked for again by the person who misses it.

use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Mail, MailFault, SharedMailer};
use crate::{limits, telemetry};

/// Where mails are posted.
#[derive(Clone, Debug)]
pub struct Post(mpsc::Sender<Mail>);

impl Post {
    /// Sends until `stop`, and then what waits for a moment more.
    #[must_use]
    pub fn start(mailer: SharedMailer, stop: CancellationToken, tracker: &TaskTracker) -> Self {
        let (queue, mails) = mpsc::channel(limits::MAILS_WAITING);
        let (sending, deferred) = (FuturesUnordered::new(), FuturesUnordered::new());
        let round = Round { mailer, stop, mails, closed: false, sending, deferred };
        tracker.spawn(round.run());
        Self(queue)
    }

    /// Takes a mail, at once. `false`: too many are waiting, or the node stops.
    #[must_use]
    pub fn send(&self, mail: Mail) -> bool {
        let taken = self.0.try_send(mail).is_ok();
        if !taken {
            count("full");
        }
        taken
    }
}

/// A mail, and how often it was tried.
struct Waiting {
    mail: Mail,
    tries: u32,
}

struct Round {
    mailer: SharedMailer,
    stop: CancellationToken,
    mails: mpsc::Receiver<Mail>,
    /// Nobody can post any more.
    closed: bool,
    sending: FuturesUnordered<BoxFuture<'static, (Waiting, Result<(), MailFault>)>>,
    /// Each comes back when it is due, or when the node stops.
    deferred: FuturesUnordered<BoxFuture<'static, Waiting>>,
}

impl Round {
    async fn run(mut self) {
        while !(self.closed && self.sending.is_empty() && self.deferred.is_empty()) {
            let free = self.sending.len() < limits::MAILS_AT_ONCE;
            let room = !self.closed && self.deferred.len() < limits::MAILS_DEFERRED;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some((waiting, result)) = self.sending.next() => self.judge(waiting, result),
                Some(waiting) = self.deferred.next(), if free => self.try_once(waiting),
                mail = self.mails.recv(), if free && room => match mail {
                    Some(mail) => self.try_once(Waiting { mail, tries: 0 }),
                    None => self.closed = true,
                },
            }
        }
        self.last_round().await;
    }

    fn try_once(&mut self, mut waiting: Waiting) {
        waiting.tries += 1;
        let (mailer, mail) = (self.mailer.clone(), waiting.mail.clone());
        self.sending.push(Box::pin(async move { (waiting, mailer.send(mail).await) }));
    }

    fn judge(&mut self, waiting: Waiting, result: Result<(), MailFault>) {
        let Err(fault) = result else { return count("sent") };
        let tries = waiting.tries;
        if !fault.retryable {
            count("refused");
            tracing::error!(%fault, tries, "a mail was refused and is dropped");
        } else if tries >= limits::MAIL_TRIES {
            count("expired");
            tracing::error!(%fault, tries, "a mail could not be sent for too long and is dropped");
        } else {
            count("deferred");
            tracing::warn!(%fault, tries, "a mail waits to be sent again");
            let (stop, pause) = (self.stop.clone(), pause(tries));
            self.deferred.push(Box::pin(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
                waiting
            }));
        }
    }

    /// What waits is tried once more; what is not sent within the time is told and forgotten.
    async fn last_round(mut self) {
        self.mails.close();
        let (mut sent, mut failed) = (0_usize, 0_usize);
        let tried = tokio::time::timeout(limits::MAIL_GOODBYE, async {
            loop {
                while self.sending.len() < limits::MAILS_AT_ONCE {
                    let fresh = self.mails.try_recv().ok().map(|mail| Waiting { mail, tries: 0 });
                    let next = match fresh {
                        Some(fresh) => Some(fresh),
                        None => self.deferred.next().await,
                    };
                    let Some(waiting) = next else { break };
                    self.try_once(waiting);
                }
                match self.sending.next().await {
                    Some((_, Ok(()))) => sent += 1,
                    Some((_, Err(_))) => failed += 1,
                    None => return,
                }
            }
        });
        let _in_time = tried.await;
        let left = failed + self.sending.len() + self.deferred.len() + self.mails.len();
        metrics::counter!(telemetry::MAILS, "result" => "sent").increment(sent as u64);
        metrics::counter!(telemetry::MAILS, "result" => "left").increment(left as u64);
        if left > 0 {
            tracing::error!(left, "mails were not sent before this node stopped");
        }
    }
}

/// Before the try after that many.
fn pause(tries: u32) -> Duration {
    let doubled = limits::MAIL_BACKOFF.saturating_mul(1 << tries.saturating_sub(1).min(16));
    doubled.min(limits::MAIL_BACKOFF_MAX)
}

fn count(result: &'static str) {
    metrics::counter!(telemetry::MAILS, "result" => result).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_tried_for_about_ten_minutes() {
        let all: Duration = (1..limits::MAIL_TRIES).map(pause).sum();
        assert!((Duration::from_secs(540)..=Duration::from_secs(720)).contains(&all), "{all:?}");
        assert_eq!(pause(1), limits::MAIL_BACKOFF);
    }
}
