//! Do nodes on one Postgres hear of each other's displays, and forget those of nodes that fell silent?

use onsale::ids::{AccountId, LogPosition, Partition, Position, StoreId};
use onsale::journal::open::{Target, presence};
use onsale::journal::presence::Display;
use onsale::timestamp::Timestamp;

use super::support::postgres;
use super::{Dir, node};

fn display(store: &str, account: &str, position: Option<u64>) -> Display {
    Display {
        store: StoreId::new(store),
        account: AccountId::new(account),
        role: "display".to_owned(),
        connected_at: Timestamp(1_795_000_000_123),
        position: position.map(|n| LogPosition { partition: Partition(3), position: Position(n) }),
    }
}

#[tokio::test]
async fn nodes_hear_of_each_others_displays() {
    let database = postgres::database().await;
    let target = Target::Postgres { url: database.url.clone() };
    let a = presence(&target).await.expect("it opens").expect("there can be several nodes");
    let b = presence(&target).await.expect("it opens").expect("there can be several nodes");
    let (store, from_a) = (StoreId::new("st_1"), || node("a"));
    let heard = async || b.others(&node("b"), &store, 10).await.expect("an answer");

    a.say(&from_a(), &[]).await.expect("said");
    assert_eq!(heard().await, []);
    let both = [display("st_1", "one \"quoted\" 한글", None), display("st_1", "two", Some(7))];
    a.say(&from_a(), &[both[0].clone(), display("st_2", "three", None), both[1].clone()]).await.expect("said");
    b.say(&node("b"), &[display("st_1", "mine", None)]).await.expect("said");
    let expected = both.clone().map(|display| (node("a"), display));
    assert_eq!(heard().await, expected, "of this store, of others, in order");
    assert_eq!(b.others(&node("b"), &store, 1).await.expect("an answer"), expected[..1]);
    a.say(&from_a(), &both[1..]).await.expect("said");
    assert_eq!(heard().await, expected[1..], "what was said before is replaced");

    // A node that is silent counts for nothing after a while, and is swept away by the others later.
    let silent =
        |seconds: u32| format!("UPDATE log.presence SET said_at = now() - interval '{seconds} s' WHERE node = 'a'");
    postgres::sql(&database.owner, &silent(9)).await;
    assert_eq!(heard().await.len(), 1);
    postgres::sql(&database.owner, &silent(11)).await;
    assert_eq!(heard().await, []);
    b.say(&node("b"), &[]).await.expect("said");
    postgres::sql(&database.owner, "UPDATE log.presence SET said_at = now() WHERE node = 'a'").await;
    assert_eq!(heard().await.len(), 1, "it might have come back");
    postgres::sql(&database.owner, &silent(61)).await;
    b.say(&node("b"), &[]).await.expect("said");
    postgres::sql(&database.owner, "UPDATE log.presence SET said_at = now() WHERE node = 'a'").await;
    assert_eq!(heard().await, []);
    drop((a, b));
    database.drop_it().await;
}

#[tokio::test]
async fn a_file_has_nobody_to_tell() {
    assert!(presence(&Dir::new().target()).await.expect("nothing to open").is_none());
}
