//! Does everybody else go on while mails wait?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Server, mail, until};
use crate::clock::{Clock, SimulatedClock};
use crate::gateways::mail::{Mail, MailFault, Mailer, Post};
use crate::limits;
use crate::timestamp::Timestamp;

/// Does as the subject says, and writes down when each was tried.
struct Moody {
    clock: SimulatedClock,
    tried: Mutex<BTreeMap<String, Vec<Duration>>>,
}

impl Moody {
    fn tries(&self, subject: &str) -> usize {
        self.tried.lock().get(subject).map_or(0, Vec::len)
    }

    fn all(&self) -> usize {
        self.tried.lock().values().map(Vec::len).sum()
    }
}

#[async_trait::async_trait]
impl Mailer for Moody {
    async fn send(&self, mail: Mail) -> Result<(), MailFault> {
        let now = self.clock.elapsed();
        let tries = {
            let mut tried = self.tried.lock();
            let times = tried.entry(mail.subject.clone()).or_default();
            times.push(now);
            times.len()
        };
        match mail.subject.split(' ').next().unwrap_or_default() {
            "never" => Err(MailFault::never("550")),
            "later" => Err(MailFault::later("451")),
            "third" if tries < 3 => Err(MailFault::later("451")),
            "silent" => {
                let silence = tokio::time::timeout(limits::MAIL_CALL, std::future::pending());
                silence.await.unwrap_or_else(|_| Err(MailFault::later("silence")))
            }
            "stuck" => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

struct Office {
    post: Post,
    moody: Arc<Moody>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

fn office() -> Office {
    let clock = SimulatedClock::starting_at(Timestamp(0));
    let moody = Arc::new(Moody { clock, tried: Mutex::default() });
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let post = Post::start(moody.clone(), stop.clone(), &tracker);
    Office { post, moody, stop, tracker }
}

impl Office {
    async fn closed(self) -> (Arc<Moody>, Duration) {
        let before = self.moody.clock.elapsed();
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        let took = self.moody.clock.elapsed() - before;
        assert!(!self.post.send(mail("too late")), "nobody is there");
        (self.moody, took)
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_is_tried_with_growing_pauses_until_it_is_taken() {
    let office = office();
    assert!(office.post.send(mail("third time")));
    until("the third try", || office.moody.tries("third time") == 3).await;
    let (moody, took) = office.closed().await;
    let times = moody.tried.lock()["third time"].clone();
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] >= limits::MAIL_BACKOFF && pauses[1] >= 2 * limits::MAIL_BACKOFF, "{pauses:?}");
    assert_eq!((times.len(), took), (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_refused_mail_is_dropped_and_one_that_waits_too_long_as_well() {
    let Office { post, moody, tracker, stop: _stop } = office();
    assert!(post.send(mail("never")) && post.send(mail("later")));
    drop(post);
    tracker.close();
    // Nobody can post any more, so it ends with the last mail.
    tracker.wait().await;
    assert_eq!((moody.tries("never"), moody.tries("later")), (1, limits::MAIL_TRIES as usize));
    let took = moody.clock.elapsed();
    assert!((Duration::from_secs(540)..Duration::from_secs(720)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_waits_holds_up_no_other() {
    let office = office();
    for number in 0..limits::MAILS_AT_ONCE - 1 {
        assert!(office.post.send(mail(&format!("stuck {number}"))));
    }
    assert!(office.post.send(mail("later")));
    for number in 0..100 {
        assert!(office.post.send(mail(&format!("good {number}"))));
    }
    let good = |moody: &Moody| moody.tried.lock().keys().filter(|subject| subject.starts_with("good")).count();
    until("all good ones", || good(&office.moody) == 100).await;
    assert!(office.moody.clock.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_slows_nobody() {
    let office = office();
    let mut taken = 0;
    while office.post.send(mail("silent")) {
        taken += 1;
        assert!(taken < 10 * limits::MAILS_WAITING, "the queue has an end");
    }
    assert!(taken >= limits::MAILS_WAITING);
    assert_eq!(office.moody.clock.elapsed(), Duration::ZERO, "posting never waits");
    // Later, while some wait for their second time, the queue still has an end.
    until("more tries", || office.moody.all() > limits::MAILS_AT_ONCE).await;
    let (_, took) = office.closed().await;
    assert!(took <= limits::MAIL_GOODBYE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_a_node_stops_is_tried_once_more() {
    let office = office();
    assert!(office.post.send(mail("later")));
    until("the first try", || office.moody.tries("later") == 3).await;
    for number in 0..50 {
        assert!(office.post.send(mail(&format!("good {number}"))));
    }
    let (moody, took) = office.closed().await;
    assert_eq!((moody.tries("later"), moody.all(), took), (4, 54, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_stuck_mail_keeps_no_node_from_stopping() {
    let office = office();
    assert!(office.post.send(mail("stuck")));
    until("the try", || office.moody.all() == 1).await;
    let (_, took) = office.closed().await;
    assert!(took <= limits::MAIL_GOODBYE + Duration::from_millis(5), "{took:?}");
}

/// The real client and a real server, in real time.
#[tokio::test]
async fn a_busy_server_gets_the_mail_a_moment_later() {
    let server = Server::start(&[("RCPT", "451 come back later")]).await;
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let post = Post::start(Arc::new(server.client()), stop.clone(), &tracker);
    assert!(post.send(mail("확인")));
    until("its arrival", || server.seen(|seen| seen.messages.len() == 1)).await;
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    server.seen(|seen| assert_eq!((seen.connections, seen.messages.len()), (2, 1)));
}
