//! What is heard on the channel that nodes share: anybody who can reach the Redis can talk on it.

use onsale::gateways::hints;
use onsale::ids::{LogPosition, Partition, Position};
use onsale::limits;

use super::Target;

pub const HINTS: Target = Target { name: "hints", seeds, run };

fn run(data: &[u8]) {
    if let Some(heard) = hints::decode(data) {
        assert!(data.len() <= limits::HINT_BYTES);
        assert_eq!(hints::encode(&heard).as_bytes(), data, "one spelling");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let at = |partition, position| LogPosition { partition: Partition(partition), position: Position(position) };
    let all: Vec<LogPosition> = (0..64).map(|partition| at(partition, u64::from(partition) * 1_000)).collect();
    [hints::encode(&all), hints::encode(&all[..1]), hints::encode(&[at(u16::MAX, u64::MAX)]), "1:1 ".repeat(20_000)]
        .map(String::into_bytes)
        .to_vec()
}
