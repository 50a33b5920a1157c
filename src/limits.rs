//! How much at most? Every maximum of the project: its name, its unit, and what must hold between them.
//!
//! A number that bounds memory, time or a queue stands here and nowhere else. What an operator may choose stands in
//! `config.rs`; these are the bounds that the design rests on.

mod accounts;

use std::time::Duration;

pub use accounts::*;

/// Partitions of a log when nobody chooses.
pub const DEFAULT_PARTITIONS: u16 = 64;
/// Partitions at most; ids carry the number.
pub const MAX_PARTITIONS: u16 = 4096;
/// Bytes of a file that a secret is in.
pub const SECRET_FILE_BYTES: u64 = 64 << 10;
/// Bytes of a role's name; Postgres cuts longer ones.
pub const ROLE_NAME_BYTES: usize = 63;

/// Events in one unit. An order of 100 seats is 101; a block of 2,000 seats is 2,001.
pub const UNIT_EVENTS: usize = 2_048;
/// Payload bytes in one unit. A venue of 2 MiB of JSON is less than that in the log.
pub const UNIT_BYTES: usize = 4 << 20;
/// Events in one transaction of a lane.
pub const BATCH_EVENTS: usize = 4_096;
/// Payload bytes in one transaction of a lane.
pub const BATCH_BYTES: usize = 8 << 20;
const _: () = assert!(UNIT_EVENTS <= BATCH_EVENTS && UNIT_BYTES <= BATCH_BYTES, "a unit is never split");

/// Commands under way on a node, from admission to durable answer.
pub const COMMANDS_IN_FLIGHT: usize = 8_192;
/// Commands under way in one partition: one hot coupon must not use up the node.
pub const COMMANDS_IN_FLIGHT_PER_PARTITION: usize = 4_096;
/// Deadlines being applied at once on a node.
pub const DEADLINES_IN_FLIGHT: usize = 512;
/// Units waiting for a lane. One command makes at most two units (a due deadline first, then its own).
pub const LANE_QUEUE: usize = 2 * COMMANDS_IN_FLIGHT + DEADLINES_IN_FLIGHT;
const _: () = assert!(
    LANE_QUEUE >= 2 * COMMANDS_IN_FLIGHT + DEADLINES_IN_FLIGHT,
    "whoever was let in always finds room in its lane"
);
/// Streams loaded with one query.
pub const LOAD_BATCH: usize = 512;
/// Loads that run at the same time: with one, each new order would wait for half of the one before it.
pub const LOADERS: usize = 2;
/// Load requests waiting for the loader.
pub const LOAD_QUEUE: usize = COMMANDS_IN_FLIGHT;
/// Words of 64 bits in a partition's filter of streams that have something in the log: 512 KiB. Of 250,000 streams one look
/// in 300 is in vain, of a million one in eight.
pub const NEWCOMER_WORDS: usize = 1 << 16;
/// Streams of a partition beyond which such a filter would say little.
pub const NEWCOMER_NAMES: usize = 2_000_000;
/// Looks for streams that the log does not have, after which the log is asked for all that it has.
pub const LOOKS_IN_VAIN: usize = 64;
/// Names of streams read at once.
pub const STREAMS_PAGE: usize = 2_000;
/// Streams whose refusals are counted one by one; twice as many for a moment, then the least refused ones go.
pub const TALLIED_STREAMS: usize = 1_024;
/// Times that a command superseded by somebody else's failure is run again before its caller hears of it.
pub const SUPERSEDED_RETRIES: u32 = 5;

/// A stream that nobody asked for that long leaves memory.
pub const ACTOR_IDLE: Duration = Duration::from_secs(300);
/// One that rests when nobody asks for it, and was woken without being asked anything, rests after that long.
pub const ACTOR_RESTS: Duration = Duration::from_secs(5);
/// Streams whose states a node that only follows keeps folded, and how long one is kept that nobody asks for, once there
/// are that many.
pub const SHADOWS: usize = 1_024;
pub const SHADOW_IDLE: Duration = Duration::from_secs(60);
/// Streams in memory on a node; beyond it, the sweeper shortens the idle time.
pub const ACTORS_AWAKE: usize = 400_000;
/// Actors of each noun that have nothing to do and wait for another stream, so that none must be started.
pub const ACTORS_WAITING: usize = 1_024;
/// A segment of a snapshot is due when the tail is longer than this.
pub const SNAPSHOT_TAIL: u64 = 1_000;
/// Events of one segment, at most.
pub const SEGMENT_EVENTS: usize = 2_000;
/// Bytes of one segment; one that is larger is not kept, and the log is read instead.
pub const SEGMENT_BYTES: usize = 16 << 20;
/// Segments read from the log at once.
pub const SEGMENT_PAGE: usize = 16;
const _: () = assert!(SEGMENT_EVENTS as u64 > SNAPSHOT_TAIL, "one segment takes a tail that is due");
/// A whole state is saved when the segments after the last one hold more events than this (and than the state has entries).
pub const SNAPSHOT_WHOLE: u64 = 16 * SNAPSHOT_TAIL;
/// A whole state beyond that is not kept: its segments are.
pub const SNAPSHOT_BYTES: usize = 64 << 20;

/// How long a lease is good, counted from the sending of the heartbeat.
pub const LEASE: Duration = Duration::from_secs(3);
/// How often the lease is renewed.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// A heartbeat is given up after this, so that the next one can still save the lease.
pub const HEARTBEAT_ANSWER: Duration = Duration::from_secs(2);
const _: () = assert!(HEARTBEAT_ANSWER.as_millis() < LEASE.as_millis(), "a slow heartbeat ends before the lease");
/// Answers that append nothing stop this long before the lease runs out.
pub const LEASE_MARGIN: Duration = Duration::from_millis(500);
const _: () = assert!(LEASE.as_millis() > 2 * HEARTBEAT.as_millis(), "one lost heartbeat does not cost the lease");

/// The database gives up a statement after this.
pub const STATEMENT_TIME: Duration = Duration::from_secs(5);
/// The writer stops waiting for the answer to a statement after this: then its outcome is unknown.
pub const STATEMENT_ANSWER: Duration = Duration::from_secs(6);
const _: () = assert!(STATEMENT_ANSWER.as_millis() > STATEMENT_TIME.as_millis(), "a statement ends before its waiter");
/// A connection to the database opens within this, or not at all.
pub const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Connections that only read.
pub const READ_CONNECTIONS: u32 = 4;
/// Rows of one SQLite INSERT; 20 values each, of 32,766 possible.
pub const INSERT_ROWS: usize = 32;

/// Recent records of each partition that followers find in memory.
pub const FOLLOW_RECENT: usize = 4_096;
/// Records read from the log at once by a follower.
pub const READ_BATCH: usize = 1_000;
/// Readings of the log that are kept for other followers at about the same place.
pub const FOLLOW_CHUNKS: usize = 64;
/// How often a node that writes nothing looks at the heads of the log. Hints only make it look sooner.
pub const FOLLOW_POLL: Duration = Duration::from_millis(100);
/// It looks how far a read model has come just as often while somebody waits for that, else every so many times.
pub const CURSOR_LOOKS: u64 = 10;
/// Partitions that it reads at once.
pub const FOLLOW_PULLS: usize = 4;
/// The least time between two hints of a node: what happens in between goes into the next one.
pub const HINT_SPACING: Duration = Duration::from_millis(5);
/// A call to the carrier of hints is given up after this, and after a failure it is left alone for that long.
pub const HINT_CALL: Duration = Duration::from_secs(1);
pub const HINT_PAUSE: Duration = Duration::from_secs(1);
/// How often a silent listener makes sure that it is still heard.
pub const HINT_PING: Duration = Duration::from_secs(5);
/// Longer messages are no hints. A hint is up to 26 characters for each partition.
pub const HINT_BYTES: usize = 32 << 10;
/// Violations that an audit tells one by one; the rest is counted.
pub const AUDIT_VIOLATIONS: usize = 1_000;

/// Missed frames that a reconnecting watcher is given before it is told to start over.
pub const RESUME_FRAMES: usize = 10_000;
/// Positions of a partition that are searched for such frames; a seat map shares its partition with others.
pub const RESUME_SCAN: u64 = 200_000;
/// Records read from the log at once for one watcher who comes back.
pub const RESUME_CHUNK: usize = 256;
/// Frames that a watcher may be behind before it is told to start over. They are kept once per topic.
pub const WATCHER_QUEUE: usize = 1_024;
/// Bytes of those frames per topic.
pub const WATCHER_QUEUE_BYTES: usize = 4 << 20;
/// Frames handed to a watcher at once.
pub const WATCHER_BURST: u64 = 32;
/// Such handfuls of a topic that are kept for others at the same place.
pub const WATCHER_BURSTS: usize = 4;
/// Waking watchers costs each of them a write: a crowd is woken that much later for each of its members, up to the longest
/// and from the shortest time that is worth a timer.
pub const WATCHER_SPACING: Duration = Duration::from_micros(8);
pub const WATCHER_SPACING_MAX: Duration = Duration::from_millis(20);
pub const WATCHER_SPACING_MIN: Duration = Duration::from_millis(2);
const _: () =
    assert!(WATCHER_BURST as usize <= WATCHER_QUEUE && WATCHER_QUEUE <= RESUME_FRAMES, "a burst is part of the queue");
/// Seat maps in memory on a node, watched or read a moment ago.
pub const SEAT_MAPS: usize = 512;
/// Records that wait for a topic while its state is loaded; beyond it, it is loaded anew.
pub const TOPIC_BACKLOG: usize = 10_000;
/// A seat map stays in memory that long after its last use.
pub const TOPIC_LINGER: Duration = Duration::from_secs(30);
/// How often that is looked at.
pub const TOPIC_SWEEP: Duration = Duration::from_secs(5);
/// A reading of a seat map waits that long for what is durable already but not folded in yet.
pub const SEAT_MAP_WAIT: Duration = Duration::from_secs(2);
/// Cut watchers come back after a time between these, in milliseconds.
pub const RETRY_MILLIS_MIN: u64 = 2_000;
pub const RETRY_MILLIS_MAX: u64 = 5_000;
/// Watchers on one node, whatever an operator says. Each has a connection of its own.
pub const WATCHERS: usize = 50_000;
/// Connections of a node besides those that its watchers may take: the requests of the sale itself.
pub const REQUEST_CONNECTIONS: usize = 4_000;
/// Open files of a node that are no connections of clients: the log, read models, their connections.
pub const OTHER_FILES: usize = 512;
/// Who finds no place is told to ask again after a time between these.
pub const PLACE_RETRY_MIN: Duration = Duration::from_secs(3);
pub const PLACE_RETRY_MAX: Duration = Duration::from_secs(12);
/// A client that acknowledges nothing for so long is gone; heartbeats see to it that there is always something.
pub const VANISHED_TIME: Duration = Duration::from_secs(30);
const _: () = assert!(VANISHED_TIME.as_secs() + HEARTBEAT_SSE.as_secs() <= 45, "found within 45 s");
/// The operating system asks a silent client whether it is there after so long, and so often until `VANISHED_TIME`.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
pub const KEEPALIVE_PROBES: u32 = 3;
pub const KEEPALIVE_BETWEEN: Duration = Duration::from_secs(10);
const _: () =
    assert!(KEEPALIVE_IDLE.as_secs() + KEEPALIVE_PROBES as u64 * KEEPALIVE_BETWEEN.as_secs() <= 45, "as soon");
/// Bytes of one connection that the operating system keeps before they are on their way. More would be older frames.
pub const UNSENT_BYTES: u32 = 128 << 10;
/// A client that takes no byte for so many seconds is cut, within the operator's choice.
pub const STALLED_SECONDS_MAX: u64 = VANISHED_TIME.as_secs();
/// When a node stops, its watchers are told so over that time, so much of it for each.
pub const GOODBYE_TIME: Duration = Duration::from_secs(4);
pub const GOODBYE_PACE: Duration = Duration::from_millis(1);
/// They come back after a time between these, in milliseconds.
pub const GOODBYE_RETRY_MILLIS_MIN: u64 = 1_000;
pub const GOODBYE_RETRY_MILLIS_MAX: u64 = 5_000;
/// How often a node tells the others who is connected to it, how long that counts, and when a silent node is swept away.
pub const PRESENCE_ROUND: Duration = Duration::from_secs(3);
pub const PRESENCE_GOOD: Duration = Duration::from_secs(10);
pub const PRESENCE_GONE: Duration = Duration::from_secs(60);
const _: () = assert!(PRESENCE_GOOD.as_secs() > 2 * PRESENCE_ROUND.as_secs(), "one lost word makes no display vanish");
/// Displays that a node tells the others of.
pub const DISPLAYS_SHARED: usize = 10_000;
/// Displays of a store that its owner is told, the longest connected ones first.
pub const DISPLAYS_TOLD: usize = 1_000;
/// Boards (rankings) that are watched at once, and how often each is computed.
pub const BOARDS: usize = 128;
pub const BOARD_ROUND: Duration = Duration::from_secs(1);
/// Comment lines keep gateways from cutting idle streams.
pub const HEARTBEAT_SSE: Duration = Duration::from_secs(15);
/// A store's missed payment older than that means nothing at a counter; what an operator may choose, in seconds.
pub const STORE_RESUME_WINDOW: Duration = Duration::from_secs(40);
pub const STORE_RESUME_SECONDS_MAX: u64 = 3_600;

/// A reading waits that long for the position that it named.
pub const READ_WAIT: Duration = Duration::from_secs(2);
/// Events that a projection applies in one transaction, about.
pub const PROJECTION_BATCH: usize = 4_000;
/// Facts that a read model takes in before others on its thread have their turn.
pub const FACTS_AT_ONCE: usize = 64;
/// A busy log's events gather that long before they are applied.
pub const PROJECTION_PACE: Duration = Duration::from_millis(10);
/// A log with more new events a second than `PROJECTION_HOT` is followed in larger batches: then what counts is that
/// read models take little from the commands.
pub const PROJECTION_HOT: u64 = 8_000;
pub const PROJECTION_PACE_HOT: Duration = Duration::from_millis(40);
/// Cursors that moved over what does not concern a projection are saved that often.
pub const CURSOR_FLUSH: Duration = Duration::from_secs(1);
/// The store of a read model that fails is tried again after this, then twice as long, up to the maximum.
pub const PROJECTION_BACKOFF: Duration = Duration::from_millis(50);
pub const PROJECTION_BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A fact that cannot be applied is tried again so often, first after this, then four times as long.
pub const APPLY_RETRIES: u32 = 2;
pub const APPLY_BACKOFF: Duration = Duration::from_millis(50);
/// A projection with more parked keys than this is wrong itself, and stops.
pub const PARKED_KEYS: usize = 10_000;
/// Parked events of a key that are tried again in one transaction.
pub const PARKED_CHUNK: usize = 500;
/// Decisions of operators that wait for a worker.
pub const DECISIONS_WAITING: usize = 64;
/// How often a node looks whether somebody switched a read model or decided something.
pub const REGISTRY_LOOK: Duration = Duration::from_millis(500);
/// A build that is not active any more stays that long for answers that still use it.
pub const BUILD_LINGER: Duration = Duration::from_secs(30);
const _: () = assert!(BUILD_LINGER.as_millis() > 2 * REQUEST_TIME.as_millis(), "no answer loses its tables");
/// Connections that read a build (SQLite) or all builds (Postgres).
pub const READ_MODEL_CONNECTIONS: u32 = 4;
/// Such a connection is closed when nobody has used it for so long.
pub const READ_MODEL_IDLE: Duration = Duration::from_secs(30);
/// The database gives up a statement about a whole build after this; its waiter a moment later.
pub const WHOLE_BUILD_TIME: Duration = Duration::from_secs(60);
pub const WHOLE_BUILD_ANSWER: Duration = Duration::from_secs(61);
const _: () = assert!(WHOLE_BUILD_ANSWER.as_millis() > WHOLE_BUILD_TIME.as_millis(), "it ends before its waiter");
/// Statements that a connection to a read model keeps prepared.
pub const STATEMENTS_PREPARED: usize = 200;
/// Differences that are told one by one; the rest is counted.
pub const DIFFERENCES_TOLD: u64 = 100;
/// Beside a log that grows by more events a second than this, a rebuild applies so many events at once and a second.
pub const REBUILD_GENTLE_ABOVE: u64 = 200;
pub const REBUILD_GENTLE_BATCH: usize = 1_000;
pub const REBUILD_GENTLE_RATE: u64 = 15_000;
/// How often a rebuild looks how the log grows.
pub const REBUILD_LOOK: Duration = Duration::from_millis(250);
/// Rows of two builds that are compared at once.
pub const COMPARE_ROWS: usize = 1_000;
/// A rebuild under load catches up so often before it switches, whatever is left by then.
pub const REPLAY_ROUNDS: u32 = 100;
/// A node that starts waits that long for read models that are being made for the first time.
pub const FIRST_BUILD_WAIT: Duration = Duration::from_secs(3);
/// A rebuild waits that long for another one of the same read model to end.
pub const REBUILD_LOCK_WAIT: Duration = Duration::from_secs(2);
/// Events that a rebuild applies in one transaction, and batches that its reader may be ahead.
pub const REBUILD_BATCH: usize = 4_000;
pub const REBUILD_AHEAD: usize = 2;

/// Items of one page of a list: when nobody says, and at most.
pub const LIST_DEFAULT: usize = 50;
pub const LIST_MAX: usize = 200;
/// Characters of a text that a list is searched for.
pub const FILTER_CHARS: usize = 200;
/// Points of a series over time; the points get wider until so many are enough.
pub const SERIES_POINTS: u64 = 600;
/// Positions that one reading may name.
pub const MIN_POSITIONS: usize = 16;
/// A request ends after this at the latest.
pub const REQUEST_TIME: Duration = Duration::from_secs(10);
/// An answer that waits for the world outside is given after this, whatever is known by then.
pub const ANSWER_TIME: Duration = Duration::from_millis(9_500);
const _: () = assert!(ANSWER_TIME.as_millis() < REQUEST_TIME.as_millis(), "it is given before the request ends");
/// A client that takes longer to send its headers is cut.
pub const HEADER_TIME: Duration = Duration::from_secs(10);
/// A client that takes longer to send its body is cut.
pub const BODY_TIME: Duration = Duration::from_secs(8);
const _: () = assert!(BODY_TIME.as_secs() < REQUEST_TIME.as_secs(), "a slow body is told apart from a slow command");
/// Headers of one request, in number and bytes.
pub const HEADERS: usize = 64;
pub const HEADER_BYTES: usize = 16 << 10;
/// Body of one request, in bytes; a venue's may be larger.
pub const BODY_BYTES: usize = 64 << 10;
pub const VENUE_BODY_BYTES: usize = 2 << 20;
/// Of a body that is too large, so much is read (and for so long) to let its sender hear the answer.
pub const DISCARDED_BYTES: usize = 4 << 20;
pub const DISCARDING_TIME: Duration = Duration::from_secs(1);
/// Open connections of an address that shows no streams.
pub const ADMIN_CONNECTIONS: usize = 64;
/// Clients whose requests are counted at once, in sets of so many places: 16 bytes each, 4 MiB in all.
pub const THROTTLE_SETS: usize = 1 << 15;
pub const THROTTLE_WAYS: usize = 8;
const _: () = assert!(THROTTLE_SETS.is_power_of_two(), "a hash names a set by its bits");
/// Requests of one limit at once, and in one of its periods, at most.
pub const THROTTLE_BURST: u32 = 1_000_000;
pub const THROTTLE_RATE: u32 = 1_000_000;
/// A period of a limit, in seconds.
pub const THROTTLE_SECONDS: u64 = 86_400;
/// Redis counts a request within this, or the node decides by itself; then Redis is left alone for that long.
pub const SHARED_LIMIT_CALL: Duration = Duration::from_millis(50);
pub const SHARED_LIMIT_PAUSE: Duration = Duration::from_secs(1);
pub const SHARED_LIMIT_CONNECT: Duration = Duration::from_secs(1);
/// Proxies of our own that a request may have come through.
pub const PROXIES: usize = 16;
/// Pages of other origins that may use the API, and how long a browser may remember that they may, in seconds.
pub const ORIGINS: usize = 64;
pub const PREFLIGHT_SECONDS_MAX: u64 = 86_400;
/// How long browsers may be told to come by TLS only, in seconds: two years.
pub const HSTS_SECONDS_MAX: u64 = 2 * 366 * 86_400;
/// Grace for running requests after SIGTERM.
pub const SHUTDOWN_TIME: Duration = Duration::from_secs(10);

/// Characters of an idempotency key, and of a request id that a client chose.
pub const KEY_BYTES: usize = 255;
pub const REQUEST_ID_BYTES: usize = 128;
/// Length of a token, of its subject, and of the secret that signs it at least.
pub const TOKEN_BYTES: usize = 4 << 10;
pub const SUBJECT_BYTES: usize = 128;
pub const SECRET_BYTES: usize = 32;
/// Keys of one kind that still verify beside the one that signs.
pub const KEYS_PREVIOUS: usize = 4;
/// Accounts that are read at once while they are sealed anew.
pub const RESEAL_PAGE: usize = 500;
/// Tokens that the devices of one store have at once.
pub const STORE_TOKENS: usize = 1_000;
/// A store's token is good for that long: until it is deleted, but every token must say a time.
pub const STORE_TOKEN_TTL: Duration = Duration::from_secs(100 * 365 * 86_400);
/// How often a node reads what was revoked elsewhere, and how soon after its revocation a credential works nowhere.
pub const REVOCATION_ROUND: Duration = Duration::from_secs(5);
pub const REVOCATION_BOUND: Duration = Duration::from_secs(60);
const _: () = assert!(
    2 * REVOCATION_ROUND.as_secs() + HEARTBEAT_SSE.as_secs() < REVOCATION_BOUND.as_secs(),
    "an open stream is asked with each heartbeat, and one lost look does not make it late"
);
/// How far the clocks of two nodes may be apart when a token is judged, in seconds.
pub const TOKEN_LEEWAY_SECONDS: i64 = 5;
/// How long a stream ticket opens its stream, and how long it reopens it.
pub const TICKET_TIME: Duration = Duration::from_secs(60);
pub const TICKET_RECONNECT: Duration = Duration::from_secs(12 * 3_600);
/// Length of a path that a stream ticket opens.
pub const STREAM_PATH_BYTES: usize = 512;
/// Characters of a payment id that a counter chose.
pub const PAYMENT_ID_CHARS: usize = 200;
/// Characters of a reason that a person gave.
pub const REASON_CHARS: usize = 500;

/// Seats of a venue.
pub const VENUE_SEATS: usize = 200_000;
pub const VENUE_SECTIONS: usize = 1_000;
/// Characters of a section, row or seat label.
pub const LABEL_CHARS: usize = 16;
/// Characters of a name, title or other catalogue text.
pub const NAME_CHARS: usize = 200;
pub const DESCRIPTION_CHARS: usize = 5_000;
/// Seats of one order, whatever the performance says.
pub const ORDER_SEATS: usize = 100;
/// Seats blocked or unblocked at once.
pub const BLOCK_SEATS: usize = 2_000;
const _: () = assert!(BLOCK_SEATS < UNIT_EVENTS && ORDER_SEATS < UNIT_EVENTS, "all seats and their lead in one unit");
/// How long a hold may be, in seconds.
pub const HOLD_SECONDS_MIN: u32 = 5;
pub const HOLD_SECONDS_MAX: u32 = 3_600;
/// Payments that may be declined before an order fails.
pub const PAYMENT_ATTEMPTS: u32 = 3;
/// Holds of one member that ended unpaid count against the limit of their performance for that long; the limit at most.
pub const UNPAID_HOLDS_WINDOW: Duration = Duration::from_secs(600);
pub const UNPAID_HOLDS: u32 = 100;
/// Coupons of one kind.
pub const COUPON_STOCK: u64 = 10_000_000;
pub const COUPON_PER_MEMBER: u32 = 100;
/// That a coupon can be good for by name.
pub const COUPON_SHOWS: usize = 100;
/// A reserved coupon is good for that long to place the order with.
pub const COUPON_CLAIM: Duration = Duration::from_secs(30);
/// An idempotency key is remembered at least this long where the thing itself does not remember it for ever.
pub const KEY_MEMORY: Duration = Duration::from_secs(16 * 86_400);
/// A store remembers its payments that long; older ones are refused by `paid_at`.
pub const STORE_MEMORY: Duration = Duration::from_secs(30 * 86_400);
/// Payments that one store can take within its memory.
pub const STORE_PAYMENTS: usize = 2_000_000;
/// How far in the future a counter's clock may be.
pub const PAID_AT_AHEAD: Duration = Duration::from_secs(300);

/// How long a token made on the command line may be good for.
pub const TOKEN_TTL_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Characters of a payment key: the provider's own maximum.
pub const PAYMENT_KEY_BYTES: usize = 200;
/// Calls to the payment provider under way at once; the next one waits within its own time.
pub const PSP_CALLS: usize = 256;
/// Bytes of one answer of the payment provider.
pub const PSP_ANSWER_BYTES: usize = 256 << 10;
/// A connection to the payment provider opens within this, or the call counts as not sent.
pub const PSP_CONNECT_TIME: Duration = Duration::from_secs(3);
/// What an operator may choose for one call, in milliseconds. A card network may take half a minute.
pub const PSP_CALL_MILLIS_MIN: u64 = 100;
pub const PSP_CALL_MILLIS_MAX: u64 = 60_000;
/// What an operator may choose for the time after which people look at a payment, in seconds.
pub const REVIEW_SECONDS_MIN: u64 = 1;
pub const REVIEW_SECONDS_MAX: u64 = 86_400;
/// Characters of a refusal's code that are kept.
pub const PSP_CODE_CHARS: usize = 64;
/// Characters of the reason that goes with a refund: the provider's own maximum.
pub const PSP_REASON_CHARS: usize = 200;
/// Characters of a refund's id, which the reason carries.
pub const REFUND_ID_CHARS: usize = 64;
const _: () = assert!(REFUND_ID_CHARS + 3 < PSP_REASON_CHARS, "the refund's id always fits into the reason");

/// Streams that processes work on at once; beyond it no new payment is begun.
pub const PROCESSES: usize = 20_000;
/// A call to the outside whose outcome is not known is followed by a look after this, then after twice as long, and so on.
pub const PROCESS_BACKOFF: Duration = Duration::from_millis(200);
pub const PROCESS_BACKOFF_MAX: Duration = Duration::from_secs(10);
/// What people look at is looked at that often beside them.
pub const REVIEW_LOOK: Duration = Duration::from_secs(60);
/// Hints of the payment provider that are followed at once; others are dropped, as they may be.
pub const HINTS: usize = 64;
/// Orders of a cancelled performance that are ended at once.
pub const CALL_OFF_AT_ONCE: usize = 64;

/// The simulated provider keeps the answer to an idempotency key that long, as the real one does.
pub const SIMULATOR_KEY_MEMORY: Duration = Duration::from_secs(15 * 86_400);
/// Characters of an idempotency key there.
pub const SIMULATOR_KEY_CHARS: usize = 300;
/// Calls that it can show; older ones are counted only.
pub const SIMULATOR_CALLS: usize = 100_000;
/// Confirmations whose time it can tell; the time of older ones is forgotten.
pub const SIMULATOR_TIMES: usize = 2_000_000;
/// Connections to it at once.
pub const SIMULATOR_CONNECTIONS: usize = 4_096;
/// Webhooks waiting to be sent; beyond it they are lost, as they may be.
pub const SIMULATOR_WEBHOOKS: usize = 10_000;
/// The receiver of a webhook answers within this.
pub const SIMULATOR_WEBHOOK_TIME: Duration = Duration::from_secs(5);
/// Rules of a script.
pub const SIMULATOR_RULES: usize = 10_000;
/// The longest delay that a script may ask for, and how long "no answer" lasts.
pub const SIMULATOR_SILENCE: Duration = Duration::from_secs(600);

/// Connections of a load generator.
pub const BENCH_CONNECTIONS: u32 = 10_000;
/// Units of work a second that it may be asked for.
pub const BENCH_RATE: u32 = 1_000_000;
/// Seconds of one of its measurements.
pub const BENCH_SECONDS: u32 = 86_400;
/// Members that it signs tokens for.
pub const BENCH_MEMBERS: u32 = 1_000_000;
/// Members each of whom asks once, with a token of their own.
pub const BENCH_CROWD: u64 = 10_000_000;
/// Coupons that they ask for.
pub const BENCH_COUPONS: u32 = 10_000;
/// Seats of one of its orders.
pub const BENCH_PARTY: u32 = 10;
const _: () = assert!(BENCH_PARTY as usize <= ORDER_SEATS, "its orders are taken");
/// After that long, actors that nobody speaks to have left memory.
pub const BENCH_ASLEEP: Duration = Duration::from_secs(420);
/// Memory that has not fallen for so long stays where it is.
pub const BENCH_SETTLED: Duration = Duration::from_secs(30);
const _: () = assert!(BENCH_ASLEEP.as_secs() > ACTOR_IDLE.as_secs() + 60, "they are asked to leave by then");
/// Stores whose feeds it watches, and watchers of them.
pub const BENCH_TOPICS: u32 = 50_000;
pub const BENCH_WATCHERS: u32 = 200_000;
/// Commands of one of its measurements whose moments it keeps.
pub const BENCH_COMMANDS: u64 = 20_000_000;
/// When no frame has come for so long at the end, those that are still missing are lost.
pub const BENCH_QUIET: Duration = Duration::from_secs(5);
/// Events of a log that it makes, and of one that it fills.
pub const BENCH_EVENTS: u64 = 20_000_000;
pub const BENCH_FILL: u64 = 1_000_000_000;
/// Seats that it puts on sale.
pub const BENCH_SEATS: u32 = 20_000_000;
/// Seats of one of its performances.
pub const BENCH_HOUSE: u32 = 100_000;
const _: () = assert!(BENCH_HOUSE as usize <= VENUE_SEATS, "its house is one that can be built");
/// It gives up waiting for one answer after this.
pub const BENCH_ANSWER: Duration = Duration::from_secs(30);
const _: () = assert!(BENCH_ANSWER.as_secs() > REQUEST_TIME.as_secs(), "the node's own answer comes first");
/// Connections of a rival to its database.
pub const RIVAL_CONNECTIONS: u32 = 1_000;
/// Files and connections that it has open besides those that it was asked for.
pub const BENCH_DESCRIPTORS: u64 = 1_024;
