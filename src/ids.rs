//! Which thing is meant? The identifiers of the project and the routing facts that can be read off them.
//!
//! Every id is an opaque string to clients. Inside, an id either *is* a partition key (performance, coupon, store,
//! venue, show) or carries the number of the partition it lives in (order), so that any node can route by the id alone.
//! This file knows nothing of events, rules or storage.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;

/// 128 bits of BLAKE3, written as 32 hexadecimal digits. Command ids, body hashes and derived ids are all of this kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Hash16(pub [u8; 16]);

impl Hash16 {
    /// Hashes parts with their lengths, so that `["ab","c"]` and `["a","bc"]` differ. `domain` separates purposes.
    #[must_use]
    pub fn of(domain: &str, parts: &[&[u8]]) -> Self {
        let domain = domain.as_bytes();
        let all = || std::iter::once(&domain).chain(parts.iter());
        let mut text = Vec::with_capacity(all().map(|part| 8 + part.len()).sum());
        for part in all() {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part);
        }
        let mut out = [0; 16];
        out.copy_from_slice(&blake3::hash(&text).as_bytes()[..16]);
        Self(out)
    }

    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return None;
        }
        u128::from_str_radix(hex, 16).ok().map(|n| Self(n.to_be_bytes()))
    }
}

impl fmt::Display for Hash16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Hash16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash16 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Hash16 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not 32 hexadecimal digits"))
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self)
        }
    }
}

/// The identity of a command: the hash of subject, method, path and idempotency key, or random where no key was given.
pub type CommandId = Hash16;

macro_rules! string_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text itself, shared with whoever has the id.
            #[must_use]
            pub fn into_text(self) -> Arc<str> {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

string_id! {
    /// The opaque `sub` of a token: a member, a seller, an admin or a store's device.
    AccountId,
    VenueId,
    ShowId,
    PerformanceId,
    /// `<section>-<row>-<number>`, unique within one performance.
    SeatId,
    /// `o<partition>_<32 hex>`: carries the partition of its performance.
    OrderId,
    /// `t<partition>_<32 hex>_<n>`: carries its order.
    TicketId,
    CouponId,
    /// `ct_<coupon's hex>_<32 hex>`: carries its coupon.
    TaskId,
    StoreId,
    /// Chosen by the store's payment system; unique within one store.
    PaymentId,
    /// Chosen by the payment provider: the name of one buyer's payment there.
    PaymentKey,
    /// One giving back of money, whole or in part.
    RefundId,
    /// One running process of the server.
    NodeId,
    /// What a token was given out for, and can be taken back by: `se_…` a session, `dt_…` a store's device.
    CredentialId,
}

impl VenueId {
    #[must_use]
    pub fn derive(command: &CommandId) -> Self {
        Self::new(format!("vn_{command}"))
    }
}

impl ShowId {
    #[must_use]
    pub fn derive(command: &CommandId) -> Self {
        Self::new(format!("sh_{command}"))
    }
}

impl PerformanceId {
    #[must_use]
    pub fn derive(command: &CommandId) -> Self {
        Self::new(format!("pf_{command}"))
    }
}

impl CouponId {
    #[must_use]
    pub fn derive(command: &CommandId) -> Self {
        Self::new(format!("cp_{command}"))
    }
}

impl StoreId {
    #[must_use]
    pub fn derive(command: &CommandId) -> Self {
        Self::new(format!("st_{command}"))
    }
}

impl CredentialId {
    /// A store's token by its name in a path.
    #[must_use]
    pub fn device(text: &str) -> Option<Self> {
        Hash16::parse(text.strip_prefix("dt_")?).map(|_| Self::new(text))
    }

    /// The device token that `command` asks for.
    #[must_use]
    pub fn of_device(command: &CommandId) -> Self {
        Self::new(format!("dt_{command}"))
    }
}

impl OrderId {
    /// The id of the order that `command` places: the same command always names the same order.
    #[must_use]
    pub fn derive(partition: Partition, command: &CommandId) -> Self {
        Self::new(format!("o{}_{command}", partition.0))
    }

    /// Without its letter: what the ids of its tickets and refunds begin with.
    fn bare(&self) -> &str {
        self.as_str().strip_prefix('o').unwrap_or(self.as_str())
    }

    /// The partition that the id carries; `None` when the text is not an order id.
    #[must_use]
    pub fn partition(&self) -> Option<Partition> {
        let (partition, hash) = self.as_str().strip_prefix('o')?.split_once('_')?;
        Hash16::parse(hash)?;
        let number: u16 = partition.parse().ok()?;
        (number.to_string() == partition).then_some(Partition(number))
    }
}

impl TicketId {
    /// The ticket of the order's seat at that place of its list, counted from 1.
    #[must_use]
    pub fn of(order: &OrderId, place: usize) -> Self {
        Self::new(format!("t{}_{place}", order.bare()))
    }

    /// The order that the id carries; `None` when the text is not a ticket id.
    #[must_use]
    pub fn order(&self) -> Option<OrderId> {
        let (order, place) = self.as_str().strip_prefix('t')?.rsplit_once('_')?;
        let order = OrderId::new(format!("o{order}"));
        let number: usize = place.parse().ok()?;
        order.partition()?;
        (number > 0 && number.to_string() == place).then_some(order)
    }
}

impl RefundId {
    /// The order's refund of that number, counted from 1.
    #[must_use]
    pub fn of(order: &OrderId, number: usize) -> Self {
        Self::new(format!("r{}_{number}", order.bare()))
    }
}

impl PaymentKey {
    /// Takes a key as a client hands it in. It becomes a part of addresses, so only letters, digits, `-`, `_` and `=` pass.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=');
        let fits = (1..=limits::PAYMENT_KEY_BYTES).contains(&text.len());
        (fits && text.bytes().all(plain)).then(|| Self::new(text))
    }
}

impl TaskId {
    #[must_use]
    pub fn derive(coupon: &CouponId, command: &CommandId) -> Self {
        let coupon = coupon.as_str().strip_prefix("cp_").unwrap_or(coupon.as_str());
        Self::new(format!("ct_{coupon}_{command}"))
    }

    /// The coupon that the id carries; `None` when the text is not a task id.
    #[must_use]
    pub fn coupon(&self) -> Option<CouponId> {
        let (coupon, hash) = self.as_str().strip_prefix("ct_")?.split_once('_')?;
        Hash16::parse(coupon)?;
        Hash16::parse(hash)?;
        Some(CouponId::new(format!("cp_{coupon}")))
    }
}

/// The unit of order, of ownership, of fan-out and of scale.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u16);

impl Partition {
    /// `BLAKE3(key)`, first eight bytes as little-endian integer, modulo `partitions`. Never change this: golden vectors
    /// in the tests hold it, and a log written under another function would be unreadable.
    #[must_use]
    pub fn of_key(key: &str, partitions: u16) -> Self {
        let hash = blake3::hash(key.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        let number = u64::from_le_bytes(first) % u64::from(partitions.max(1));
        Self(u16::try_from(number).unwrap_or(0))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of an event in its partition: 1, 2, 3 … without gaps. 0 is "before the first".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of an event in its stream: 1, 2, 3 … without gaps. 0 is "no event yet".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// How often the ownership of a partition has changed; the higher one wins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A position that names its partition: `"<partition>:<n>"`, the `position` of answers and the `id` of SSE frames.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LogPosition {
    pub partition: Partition,
    pub position: Position,
}

impl LogPosition {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (partition, position) = text.split_once(':')?;
        let parsed = Self { partition: Partition(partition.parse().ok()?), position: Position(position.parse().ok()?) };
        // One spelling only: "+1:007" is junk, not position 7.
        (parsed.to_string() == text).then_some(parsed)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.position)
    }
}

impl Serialize for LogPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The name of one aggregate's events: `seat/<performance>/<seat>`, `order/<id>`, `coupon/<id>`, `store/<id>`,
/// `performance/<id>`, `member/<performance>/<account>`, `venue/<id>`, `show/<id>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(Arc<str>);

const PROCESS: &str = "process/";

impl StreamId {
    #[must_use]
    pub fn seat(performance: &PerformanceId, seat: &SeatId) -> Self {
        Self(format!("seat/{performance}/{seat}").into())
    }

    /// What one member holds and has of one performance. An account's name may contain slashes; a performance's does not.
    #[must_use]
    pub fn member(performance: &PerformanceId, account: &AccountId) -> Self {
        Self(format!("member/{performance}/{account}").into())
    }

    #[must_use]
    pub fn order(id: &OrderId) -> Self {
        Self(format!("order/{id}").into())
    }

    #[must_use]
    pub fn coupon(id: &CouponId) -> Self {
        Self(format!("coupon/{id}").into())
    }

    #[must_use]
    pub fn store(id: &StoreId) -> Self {
        Self(format!("store/{id}").into())
    }

    /// The name under which a stream's wait for the world outside stands among the timers.
    #[must_use]
    pub fn process(of: &Self) -> Self {
        Self(format!("{PROCESS}{of}").into())
    }

    /// The stream that waits, if this is the name of a wait.
    #[must_use]
    pub fn waiting(&self) -> Option<Self> {
        self.0.strip_prefix(PROCESS).map(|stream| Self(stream.into()))
    }

    #[must_use]
    pub fn performance(id: &PerformanceId) -> Self {
        Self(format!("performance/{id}").into())
    }

    #[must_use]
    pub fn venue(id: &VenueId) -> Self {
        Self(format!("venue/{id}").into())
    }

    #[must_use]
    pub fn show(id: &ShowId) -> Self {
        Self(format!("show/{id}").into())
    }

    /// All seats of one performance share this beginning of their names.
    #[must_use]
    pub fn seat_prefix(performance: &PerformanceId) -> String {
        format!("seat/{performance}/")
    }

    /// Takes a name as it stands in the log.
    #[must_use]
    pub fn from_log(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The text itself, shared with whoever has the name.
    #[must_use]
    pub fn text(&self) -> Arc<str> {
        self.0.clone()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first slash, which says whose rules apply.
    #[must_use]
    pub fn noun(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The part after the first slash.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }

    /// The seat's own id, when this is a seat's stream.
    #[must_use]
    pub fn seat_id(&self) -> Option<SeatId> {
        if self.noun() != "seat" {
            return None;
        }
        self.id().split_once('/').map(|(_, seat)| SeatId::new(seat))
    }

    /// Where the stream lives. A seat or member goes with its performance; an order's id carries the number, and one that carries
    /// none (or a number that this log does not have) names nothing.
    #[must_use]
    pub fn partition(&self, partitions: u16) -> Option<Partition> {
        match self.noun() {
            "order" => OrderId::new(self.id()).partition().filter(|p| p.0 < partitions),
            "seat" | "member" => self.id().split_once('/').map(|(key, _)| Partition::of_key(key, partitions)),
            _ => Some(Partition::of_key(self.id(), partitions)),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
