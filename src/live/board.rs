//! Who watches what is not one topic of the log, but a reading that moves with time? Boards: one computation a second for
//! all who watch the same one, and whole frames only.
//!
//! A board exists while somebody watches it. A slow watcher simply gets the newest frame next; there is nothing to resume.
//! What is read, its source knows; here it is bytes.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::frame;
use super::hub::{Heartbeat, WatchError};
use crate::fault::Fault;
use crate::limits;
use crate::telemetry;

/// Gives the board's frame as of now.
pub type Source = Arc<dyn Fn() -> BoxFuture<'static, Result<Bytes, Fault>> + Send + Sync>;

/// The newest frame; `None` before the first.
type Newest = watch::Receiver<Option<Bytes>>;

/// All boards of a node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Boards {
    open: Arc<Mutex<HashMap<String, watch::Sender<Option<Bytes>>>>>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Boards {
    pub fn new(stop: CancellationToken, tracker: TaskTracker) -> Self {
        Self { open: Arc::default(), stop, tracker }
    }

    /// The board of this name, which is made with `source` if nobody watches it yet.
    pub fn enter(&self, name: &str, source: Source) -> Result<Newest, WatchError> {
        let mut open = self.open.lock();
        if let Some(board) = open.get(name) {
            return Ok(board.subscribe());
        }
        if open.len() >= limits::BOARDS {
            metrics::counter!(telemetry::WATCHERS_REFUSED, "why" => "topics").increment(1);
            return Err(WatchError::Full);
        }
        let (board, newest) = watch::channel(None);
        open.insert(name.to_owned(), board);
        self.tracker.spawn(self.clone().keep(name.to_owned(), source));
        Ok(newest)
    }

    pub fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// Computes once a second until nobody watches any more.
    async fn keep(self, name: String, source: Source) {
        let mut round = interval(limits::BOARD_ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                _ = round.tick() => {}
            }
            if self.left(&name) {
                return;
            }
            match source().await {
                Ok(bytes) => {
                    well = true;
                    self.show(&name, bytes);
                }
                Err(fault) if well => {
                    well = false;
                    tracing::warn!(board = %name, %fault, "a board cannot be read just now");
                }
                Err(_) => {}
            }
        }
        self.open.lock().remove(&name);
    }

    fn show(&self, name: &str, bytes: Bytes) {
        if let Some(board) = self.open.lock().get(name) {
            board.send_if_modified(|shown| {
                let news = shown.as_ref() != Some(&bytes);
                if news {
                    *shown = Some(bytes);
                }
                news
            });
        }
    }

    /// Takes the board away if nobody watches it. Under the same lock as entering, so that nobody enters a dead one.
    fn left(&self, name: &str) -> bool {
        let mut open = self.open.lock();
        let empty = open.get(name).is_none_or(|board| board.receiver_count() == 0);
        if empty {
            open.remove(name);
        }
        empty
    }
}

/// The bytes of one board's stream: `retry:`, the frame of now, then each newer one, and heartbeats.
pub struct BoardWatch {
    retry: Option<Bytes>,
    newest: Newest,
    /// There is a frame that was not written yet, or there may be.
    news: bool,
    heartbeat: Heartbeat,
    beat: Interval,
}

impl BoardWatch {
    pub(super) fn new(retry: Bytes, newest: Newest, heartbeat: Heartbeat) -> Self {
        let mut beat = interval(limits::HEARTBEAT_SSE);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick of an interval comes at once; the first heartbeat must not.
        beat.reset();
        Self { retry: Some(retry), newest, news: true, heartbeat, beat }
    }

    /// The next bytes to write; `None` when the node stops. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        if let Some(retry) = self.retry.take() {
            return Some(retry);
        }
        loop {
            if std::mem::take(&mut self.news) {
                let frame = self.newest.borrow_and_update().clone();
                if let Some(frame) = frame {
                    return Some(frame);
                }
            }
            tokio::select! {
                biased;
                changed = self.newest.changed() => {
                    changed.ok()?;
                    self.news = true;
                }
                _ = self.beat.tick() => return Some(match self.heartbeat {
                    Heartbeat::Comment => frame::HEARTBEAT_COMMENT,
                    Heartbeat::Event => frame::HEARTBEAT_EVENT,
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn counting(calls: &Arc<AtomicU64>, every: u64) -> Source {
        let calls = calls.clone();
        Arc::new(move || {
            let number = calls.fetch_add(1, Ordering::SeqCst) / every;
            Box::pin(async move { Ok(Bytes::from(format!("frame {number}"))) })
        })
    }

    fn watcher(newest: Newest) -> BoardWatch {
        BoardWatch::new(frame::retry(3), newest, Heartbeat::Event)
    }

    async fn text(watch: &mut BoardWatch) -> String {
        let bytes = watch.next().await.expect("the board goes on");
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[tokio::test(start_paused = true)]
    async fn one_computation_a_second_for_all_and_frames_only_when_they_change() {
        let (stop, tracker, calls) = (CancellationToken::new(), TaskTracker::new(), Arc::new(AtomicU64::new(0)));
        let boards = Boards::new(stop.clone(), tracker.clone());
        let mut one = watcher(boards.enter("a", counting(&calls, 5)).expect("room"));
        let mut two = watcher(boards.enter("a", counting(&calls, 5)).expect("room"));
        assert_eq!(text(&mut one).await, "retry: 3\n\n");
        assert_eq!(text(&mut one).await, "frame 0", "at once");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(text(&mut one).await, "frame 1");
        assert_eq!(calls.load(Ordering::SeqCst), 6, "five rounds later");
        assert_eq!(text(&mut one).await, "frame 2");
        assert_eq!(calls.load(Ordering::SeqCst), 11, "both watch one board");
        // Who is slow gets the newest and nothing in between.
        assert_eq!((text(&mut two).await.as_str(), text(&mut two).await.as_str()), ("retry: 3\n\n", "frame 2"));
        drop((one, two));
        tracker.close();
        tracker.wait().await;
        assert_eq!(boards.len(), 0, "it ends with its last watcher");
    }

    #[tokio::test(start_paused = true)]
    async fn boards_are_bounded_beat_and_end_with_the_node() {
        let (stop, tracker, calls) = (CancellationToken::new(), TaskTracker::new(), Arc::new(AtomicU64::new(0)));
        let boards = Boards::new(stop.clone(), tracker.clone());
        let all: Vec<Newest> = (0..limits::BOARDS)
            .map(|n| boards.enter(&n.to_string(), counting(&calls, u64::MAX)).expect("room"))
            .collect();
        assert!(matches!(boards.enter("one more", counting(&calls, 1)), Err(WatchError::Full)));
        assert!(boards.enter("0", counting(&calls, 1)).is_ok(), "one that is there takes everybody");
        let mut watch = watcher(all[0].clone());
        assert_eq!((text(&mut watch).await.as_str(), text(&mut watch).await.as_str()), ("retry: 3\n\n", "frame 0"));
        assert_eq!(text(&mut watch).await, "event: hb\ndata: {}\n\n");
        stop.cancel();
        assert_eq!(watch.next().await, None);
    }
}
