//! Contract points about who may write: claims, settled doubts, and that history is nobody's to edit.

use super::writes::{everything, write};
use super::{Builder, Harness, claimed, fact, node, opened, order_in, state_of};
use crate::ids::{Epoch, NodeId, Partition};
use crate::journal::{ClaimError, Verdict};

const P: Partition = Partition(1);

pub async fn settle_fences_older_writers(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let unit = log.unit(vec![fact(&order_in(P, 1))]);
    let written = unit.records[0].clone();
    write(journal, log.batch(vec![unit])).await;

    let stranger = NodeId::new("node-b");
    assert_eq!(journal.settle(&stranger, P, log.epoch).await, Ok(None), "only the owner may settle");
    let state = journal.settle(&node(), P, log.epoch).await.expect("settles").expect("the partition is still ours");
    assert_eq!(state.epoch, Epoch(log.epoch.0 + 1));
    assert_eq!((state.head, state.chain, state.last_at), (written.position, written.chain, written.at));
    assert_eq!((state.partition, state.last_event), (P, Some(written.event_id)));

    let mut old = log.clone();
    let unit = old.unit(vec![fact(&order_in(P, 1))]);
    assert_eq!(journal.append(&[old.batch(vec![unit])]).await, Ok(vec![Verdict::Fenced]));
    log.epoch = state.epoch;
    let unit = log.unit(vec![fact(&order_in(P, 1))]);
    write(journal, log.batch(vec![unit])).await;
}

pub async fn settle_can_be_repeated(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let unit = log.unit(vec![fact(&order_in(P, 1))]);
    write(journal, log.batch(vec![unit])).await;
    let began = log.epoch;
    let mut last = began;
    for round in 1..=3 {
        // The answers before this one were lost: all that the asker knows is the epoch at which it began.
        let state = journal.settle(&node(), P, began).await.expect("settles").expect("the partition is still ours");
        assert!(state.epoch > last, "round {round}: whatever the try before let through is fenced too");
        assert_eq!((state.head, state.chain), (log.head, log.chain), "round {round}");
        for old in began.0..state.epoch.0 {
            let mut late = log.clone();
            late.epoch = Epoch(old);
            let unit = late.unit(vec![fact(&order_in(P, 1))]);
            assert_eq!(journal.append(&[late.batch(vec![unit])]).await, Ok(vec![Verdict::Fenced]), "epoch {old}");
        }
        last = state.epoch;
    }
    let ahead = Epoch(last.0 + 1);
    assert_eq!(journal.settle(&node(), P, ahead).await, Ok(None), "nobody was ever given that epoch");
    log.epoch = last;
    let unit = log.unit(vec![fact(&order_in(P, 1))]);
    write(journal, log.batch(vec![unit])).await;
}

pub async fn two_claims_exclude_each_other(harness: &Harness) {
    let (a, b) = (&harness.journal, (harness.reopen)().await);
    let (first, other) = (claimed(a).await, NodeId::new("node-b"));
    let mut log = Builder::after(&state_of(&first, 1));
    // A claim may wait for as long as a lease lasts; the holder renews it meanwhile.
    let (claimer, name) = (b.clone(), other.clone());
    let claiming = tokio::spawn(async move { claimer.claim(&name).await });
    while !claiming.is_finished() {
        a.heartbeat(&node()).await.expect("the holder renews its lease");
        tokio::task::yield_now().await;
    }
    let held = claiming.await.expect("it did not panic");
    assert!(matches!(held, Err(ClaimError::Held { .. })), "{held:?}");

    let unit = log.unit(vec![fact(&order_in(P, 1))]);
    write(a, log.batch(vec![unit])).await;
    a.release(&node()).await.expect("a lease can be given back");
    let second = b.claim(&other).await.expect("a released log is free at once");
    for (old, new) in first.partitions.iter().zip(&second.partitions) {
        assert!(new.epoch > old.epoch, "every epoch is raised");
    }
    let state = state_of(&second, 1);
    assert_eq!((state.head, state.chain), (log.head, log.chain), "the next owner finds the head");

    let late = log.unit(vec![fact(&order_in(P, 1))]);
    assert_eq!(a.append(&[log.batch(vec![late])]).await, Ok(vec![Verdict::Fenced]), "the former owner is fenced");
    let beat = a.heartbeat(&node()).await;
    assert!(matches!(beat, Err(ClaimError::Held { .. })), "{beat:?}");
    let settled = a.settle(&node(), P, state_of(&first, 1).epoch).await;
    assert_eq!(settled, Ok(None), "the partition is another node's now");
    b.release(&other).await.expect("a lease can be given back");
}

pub async fn history_cannot_be_edited(harness: &Harness) {
    let Some(sql) = &harness.sql else { return };
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let unit = log.unit(vec![fact(&order_in(P, 1))]);
    write(journal, log.batch(vec![unit.clone()])).await;

    let table = &sql.events_table;
    let looked = (sql.execute)(format!("SELECT * FROM {table}")).await;
    assert_eq!(looked, Ok(()), "the statements below must fail for the right reason");
    let mut edits = vec![format!("UPDATE {table} SET position = position + 1"), format!("DELETE FROM {table}")];
    if sql.truncates {
        edits.push(format!("TRUNCATE {table}"));
    }
    for edit in edits {
        assert!((sql.execute)(edit.clone()).await.is_err(), "{edit} went through");
    }
    assert_eq!(everything(journal, P).await, unit.records);
}
