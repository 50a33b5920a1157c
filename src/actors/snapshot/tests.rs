//! Is a snapshot with its tail the same as the whole log? Whatever was cut, lost, doubled or damaged of it.

use proptest::prelude::*;

use super::*;
use crate::clock::SystemClock;
use crate::domain::coupon::Coupon;
use crate::domain::store::Store;
use crate::events::{Event, codec, coupon, store};
use crate::ids::{AccountId, CouponId, Hash16, PaymentId, Position, StoreId, TaskId};
use crate::journal::Segment;
use crate::journal::conformance::Builder;
use crate::journal::memory::MemoryJournal;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

const P: Partition = Partition(0);

/// One fact each; true issues, false takes back the oldest that is still out.
fn coupon_log(steps: &[bool]) -> (StreamId, SharedJournal) {
    let coupon_id = CouponId::new("cp_long");
    let stream = StreamId::coupon(&coupon_id);
    let created = coupon::Created {
        coupon_id: coupon_id.clone(),
        owner: AccountId::new("seller"),
        name: "long".into(),
        stock: 1_000_000,
        per_member: 3,
        opens_at: Timestamp(1),
        closes_at: Timestamp(2),
        valid_until: Timestamp(3),
        discount: coupon::Discount::Percent { value: 10, currency: None, max_amount: None, min_amount: None },
        shows: Vec::new(),
        body: Hash16::default(),
    };
    let mut facts = vec![Event::Coupon(created.into())];
    let (mut serial, mut back) = (0, 0);
    let member = |serial: u64| AccountId::new(format!("member-{}", serial / 2));
    let task = |serial: u64| TaskId::derive(&coupon_id, &Hash16::of("test task", &[&serial.to_le_bytes()]));
    for issue in steps {
        if *issue || back == serial {
            serial += 1;
            let issued = coupon::Issued { account_id: member(serial), serial, task_id: task(serial) };
            facts.push(Event::Coupon(issued.into()));
        } else {
            back += 1;
            let revoked = coupon::Revoked { account_id: member(back), serial: back, task_id: task(back) };
            facts.push(Event::Coupon(revoked.into()));
        }
    }
    (stream.clone(), log_of(&stream, facts))
}

fn store_log(payments: u64) -> (StreamId, SharedJournal) {
    let store_id = StoreId::new("st_long");
    let stream = StreamId::store(&store_id);
    let owner = AccountId::new("seller");
    let created = store::Created { store_id, owner, name: "long".into(), body: Hash16::default() };
    let payment = |n: u64| store::PaymentRecorded {
        payment_id: PaymentId::new(format!("p{n}")),
        amount: Amount::new(1 + n).expect("an amount"),
        currency: Currency::parse("KRW").expect("a currency"),
        method: "card".into(),
        paid_at: Timestamp(1_700_000_000_000),
        terminal_id: None,
    };
    let mut facts = vec![Event::Store(created.into())];
    facts.extend((0..payments).map(|n| Event::Store(payment(n).into())));
    (stream.clone(), log_of(&stream, facts))
}

fn log_of(stream: &StreamId, facts: Vec<Event>) -> SharedJournal {
    let mut log = Builder::new(P);
    let rows = facts.into_iter().flat_map(|fact| log.records(vec![(stream.clone(), fact)])).collect();
    Arc::new(MemoryJournal::found(1, Arc::new(SystemClock), rows))
}

/// What an actor would know: bytes of the state, version, position, and how many events it read from the log.
async fn known<A: Aggregate>(journal: &SharedJournal, stream: &StreamId) -> (Vec<u8>, Version, Position, u64) {
    let loaded = journal.load(std::slice::from_ref(stream)).await.expect("loads work").remove(0);
    let cell = Cell::<A>::load(journal, stream.clone(), loaded, 0).await.expect("it can be folded");
    (codec::pack(&cell.state).expect("states can be packed"), cell.version, cell.shown, cell.tail)
}

/// A tail that has just begun: everything has to be read from the log.
fn nothing_recent(journal: &SharedJournal) -> Follow {
    Follow::new(journal.clone(), &[Position(0)])
}

async fn make<A: Aggregate>(journal: &SharedJournal, stream: &StreamId, after: u64, events: usize) -> Option<Segment> {
    let records = journal.read_stream(stream, Version(after), events).await.expect("reads work");
    let records: Vec<_> = records.into_iter().map(Arc::new).collect();
    piece::make::<A>(stream, Version(after), &records).expect("facts can be kept")
}

/// What becomes of a segment on its way to the log.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Kept,
    Twice,
    /// The write was cut short: a row is written whole or not at all.
    Lost,
    Damaged,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Kept), 1 => Just(Fate::Twice), 1 => Just(Fate::Lost), 1 => Just(Fate::Damaged)]
}

async fn cut<A: Aggregate>(journal: &SharedJournal, stream: &StreamId, cuts: &[(usize, Fate)]) {
    let mut after = 0;
    for (events, fate) in cuts {
        let Some(segment) = make::<A>(journal, stream, after, *events).await else { return };
        after = segment.version.0;
        let damaged = Segment { payload: segment.payload[..segment.payload.len() / 2].to_vec(), ..segment.clone() };
        let saved = match fate {
            Fate::Kept => vec![segment],
            // A second task that came later and saw more: the first one stays.
            Fate::Twice => {
                vec![segment.clone(), make::<A>(journal, stream, segment.after.0, events + 7).await.expect("as before")]
            }
            Fate::Lost => vec![],
            Fate::Damaged => vec![damaged],
        };
        for segment in saved {
            journal.save_segment(P, segment).await.expect("a segment is kept");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// P2, over random cuts.
    #[test]
    fn snapshot_and_tail_are_the_whole_log(
        steps in prop::collection::vec(prop::bool::weighted(0.7), 0..300),
        payments in 0..200_u64,
        cuts in prop::collection::vec((1..60_usize, fate()), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (stream, journal) = coupon_log(&steps);
            let whole = known::<Coupon>(&journal, &stream).await;
            cut::<Coupon>(&journal, &stream, &cuts).await;
            let cut_up = known::<Coupon>(&journal, &stream).await;
            prop_assert_eq!((&whole.0, whole.1, whole.2), (&cut_up.0, cut_up.1, cut_up.2), "a coupon");

            let (stream, journal) = store_log(payments);
            let whole = known::<Store>(&journal, &stream).await;
            cut::<Store>(&journal, &stream, &cuts).await;
            let cut_up = known::<Store>(&journal, &stream).await;
            prop_assert_eq!((&whole.0, whole.1, whole.2), (&cut_up.0, cut_up.1, cut_up.2), "a store");
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_long_stream_is_read_from_its_segments() {
    let (stream, journal) = coupon_log(&[true; 5_200]);
    let whole = known::<Coupon>(&journal, &stream).await;
    assert_eq!(whole.3, 5_201, "nothing is kept yet");
    for _ in 0..2 {
        keep::<Coupon>(&journal, &nothing_recent(&journal), (P, &stream), 5_200, Shortening::default())
            .await
            .expect("segments are kept");
        let kept = known::<Coupon>(&journal, &stream).await;
        assert_eq!(kept, (whole.0.clone(), whole.1, whole.2, 0), "every event is in a segment");
    }
    let segments = journal.segments(&stream, Coupon::SNAPSHOT_VERSION, Version(0), 99).await.expect("reads work");
    let ends: Vec<(u64, u64)> = segments.iter().map(|segment| (segment.after.0, segment.version.0)).collect();
    assert_eq!(ends, [(0, 2_000), (2_000, 4_000), (4_000, 5_201)], "each is bounded and goes on from the one before");
}

#[tokio::test]
async fn half_a_snapshot_is_followed_by_the_log() {
    let (stream, journal) = coupon_log(&[true; 3_000]);
    let whole = known::<Coupon>(&journal, &stream).await;
    // The second of three was never written.
    for after in [0, 1_000] {
        let segment = make::<Coupon>(&journal, &stream, 2 * after, 1_000).await.expect("there are events");
        journal.save_segment(P, segment).await.expect("a segment is kept");
    }
    let kept = known::<Coupon>(&journal, &stream).await;
    assert_eq!(kept, (whole.0, whole.1, whole.2, 2_001), "after the gap nothing but the log is believed");
}

#[tokio::test]
async fn a_state_that_forgets_is_saved_as_a_whole_and_its_segments_go() {
    let (stream, journal) = store_log(limits::SNAPSHOT_WHOLE + 500);
    let whole = known::<Store>(&journal, &stream).await;
    keep::<Store>(&journal, &nothing_recent(&journal), (P, &stream), 10, Shortening::default())
        .await
        .expect("it is saved");
    let reach = journal.reach(&stream, Store::SNAPSHOT_VERSION).await.expect("reads work");
    assert_eq!((reach.whole, reach.end), (whole.1, whole.1));
    assert_eq!(journal.segments(&stream, Store::SNAPSHOT_VERSION, Version(0), 9).await, Ok(Vec::new()));
    assert_eq!(known::<Store>(&journal, &stream).await, (whole.0, whole.1, whole.2, 0));
}

#[test]
fn a_whole_state_is_due_once_for_every_so_many_events() {
    let due = |whole, before, end, entries| {
        whole_is_due(
            Reach { whole: Version(whole), end: Version(before) },
            Version(end),
            entries,
            Shortening::default(),
        )
    };
    let table = [
        (due(0, 0, 15_999, 1), false),
        (due(0, 15_000, 16_000, 1), true),
        (due(0, 16_000, 17_000, 1), false),
        (due(0, 31_500, 32_500, 1), true),
        (due(0, 15_000, 16_000, 50_000), false),
        (due(0, 49_000, 51_000, 50_000), true),
        (due(16_000, 31_000, 31_900, 1), false),
    ];
    for (row, (got, expected)) in table.into_iter().enumerate() {
        assert_eq!(got, expected, "row {row}");
    }
}
