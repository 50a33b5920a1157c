//! Which tokens has a store given out? To its payment sources and screens, by name, until they are deleted.
//!
//! No token is kept: it is signed again, with what is kept, for whoever repeats the request that made it. A deleted one
//! leaves its name behind for as long as that may happen, so that a repetition cannot bring it back to life. Whose store it
//! is, this file does not know.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;

use super::store::{Document, Kind, Put, Revocation, SharedCabinet, Stored, TrailEntry};
use crate::auth::{Device, DeviceSigner, Revoked, Role};
use crate::clock::Clock;
use crate::fault::Fault;
use crate::ids::{AccountId, CommandId, CredentialId, Hash16, StoreId};
use crate::limits;
use crate::timestamp::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The same key came before with another body.
    #[error("the same key came before with another body")]
    KeyReused,
    #[error("the store has as many tokens as it may")]
    Full,
    #[error(transparent)]
    Failed(#[from] Fault),
}

/// A token that is wanted.
#[derive(Clone, Debug)]
pub struct NewDevice {
    pub store: StoreId,
    /// `pos` or `display`.
    pub role: Role,
    pub name: String,
    pub by: AccountId,
    pub command: CommandId,
    pub body: Hash16,
}

/// A token on its way to who asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Given {
    pub id: CredentialId,
    pub token: String,
    pub replayed: bool,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({})", self.id)
    }
}

/// As a store's owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: CredentialId,
    pub role: Role,
    pub name: String,
    pub created_at: Timestamp,
}

/// What is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    store: StoreId,
    role: Role,
    name: String,
    created_at: Timestamp,
    by: AccountId,
    /// Of the request that made it.
    body: Hash16,
    /// The key that signed it.
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Timestamp>,
}

/// What the tokens of devices need.
pub struct DeviceParts {
    pub cabinet: SharedCabinet,
    pub signer: DeviceSigner,
    pub revoked: Revoked,
    pub clock: Arc<dyn Clock>,
    pub tracker: TaskTracker,
}

/// All tokens of stores. Cheap to clone.
#[derive(Clone)]
pub struct Devices(Arc<DeviceParts>);

impl Devices {
    #[must_use]
    pub fn new(parts: DeviceParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Makes a token. The same command again gives the same token; two stores that ask at the same moment for their last
    /// ones may get one more than the bound.
    pub async fn give(&self, wanted: NewDevice) -> Result<Given, DeviceError> {
        self.apart(|this| async move {
            let id = CredentialId::of_device(&wanted.command);
            if let Some(stored) = this.0.cabinet.get(Kind::Device, id.as_str()).await? {
                return this.again(id, &wanted, &stored);
            }
            // Its name is long forgotten, but it was deleted: what comes out now would be dead.
            if this.0.revoked.lists(&id) {
                return Err(DeviceError::KeyReused);
            }
            let all = this.0.cabinet.family(Kind::Device, wanted.store.as_str(), "", limits::STORE_TOKENS).await?;
            if all.len() >= limits::STORE_TOKENS {
                return Err(DeviceError::Full);
            }
            let kept = this.kept(&wanted);
            let family = Some(wanted.store.as_str().to_owned());
            let document = Document { family, ..Document::new(Kind::Device, id.as_str(), written(&kept)?) };
            if this.0.cabinet.put(document, None).await? == Put::Done {
                this.trail("store-token-given", &wanted.by, &id, &kept).await;
                let token = this.token(&id, &kept)?;
                return Ok(Given { id, token, replayed: false });
            }
            let stored = this.0.cabinet.get(Kind::Device, id.as_str()).await?;
            let stored = stored.ok_or_else(|| Fault::unavailable("a store's token came and went"))?;
            this.again(id, &wanted, &stored)
        })
        .await
    }

    /// A store's tokens in the order of their ids, those after `after`, at most so many.
    pub async fn list(&self, store: StoreId, after: String, most: usize) -> Result<Vec<Listed>, DeviceError> {
        self.apart(|this| async move {
            let all = this.0.cabinet.family(Kind::Device, store.as_str(), &after, most).await?;
            let listed = |stored: Stored| {
                let Kept { role, name, created_at, .. } = read(&stored)?;
                Ok(Listed { id: CredentialId::new(stored.document.key), role, name, created_at })
            };
            all.into_iter().map(listed).collect()
        })
        .await
    }

    /// Takes a store's token back: here at once, elsewhere soon. `false`: the store has no such token.
    pub async fn delete(&self, store: StoreId, id: CredentialId, by: AccountId) -> Result<bool, DeviceError> {
        self.apart(|this| async move {
            let Some(stored) = this.0.cabinet.get(Kind::Device, id.as_str()).await? else { return Ok(false) };
            let kept = read(&stored)?;
            if kept.store != store {
                return Ok(false);
            }
            if kept.deleted_at.is_some() {
                return Ok(true);
            }
            // First what counts: a token that still stands on the list can be deleted once more.
            let now = this.0.clock.wall();
            let revocation = Revocation { credential: id.as_str().to_owned(), at: now, until: None };
            this.0.cabinet.revoke(revocation).await?;
            this.0.revoked.note(id.as_str(), now, None);
            let gone = Kept { deleted_at: Some(now), ..kept };
            let expires_at = Some(now.plus(limits::KEY_MEMORY));
            let document = Document { expires_at, ..Document::new(Kind::Device, id.as_str(), written(&gone)?) };
            if this.0.cabinet.put(document, Some(stored.version)).await? == Put::Done {
                this.trail("store-token-deleted", &by, &id, &gone).await;
            }
            Ok(true)
        })
        .await
    }

    fn kept(&self, wanted: &NewDevice) -> Kept {
        Kept {
            store: wanted.store.clone(),
            role: wanted.role,
            name: wanted.name.clone(),
            created_at: self.0.clock.wall(),
            by: wanted.by.clone(),
            body: wanted.body,
            key: self.0.signer.key().to_owned(),
            deleted_at: None,
        }
    }

    fn again(&self, id: CredentialId, wanted: &NewDevice, stored: &Stored) -> Result<Given, DeviceError> {
        let kept = read(stored)?;
        if kept.body != wanted.body {
            return Err(DeviceError::KeyReused);
        }
        let token = self.token(&id, &kept)?;
        Ok(Given { id, token, replayed: true })
    }

    fn token(&self, id: &CredentialId, kept: &Kept) -> Result<String, Fault> {
        let (store, created_at) = (kept.store.clone(), kept.created_at);
        let device = Device { id: id.clone(), role: kept.role, store, created_at };
        self.0.signer.sign(&device, &kept.key).map_err(|error| Fault::internal(error.to_string()))
    }

    async fn trail(&self, kind: &str, by: &AccountId, id: &CredentialId, kept: &Kept) {
        let entry = TrailEntry {
            at: self.0.clock.wall(),
            kind: kind.to_owned(),
            account: Some(kept.by.as_str().to_owned()),
            actor: Some(by.as_str().to_owned()),
            origin: None,
            detail: Some(format!("{id} {} {}", kept.role.as_str(), kept.store)),
        };
        if let Err(error) = self.0.cabinet.note(entry).await {
            tracing::error!(%error, kind, "an entry of the trail is lost");
        }
    }

    /// Runs to its end even when whoever asked is gone: a token that was made is on the list, and one that was deleted dead.
    async fn apart<T, W>(&self, work: impl FnOnce(Self) -> W) -> Result<T, DeviceError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, DeviceError>> + Send + 'static,
    {
        let task = self.0.tracker.spawn(work(self.clone()));
        task.await.unwrap_or_else(|error| Err(Fault::internal(error.to_string()).into()))
    }
}

fn read(stored: &Stored) -> Result<Kept, Fault> {
    serde_json::from_str(&stored.document.record).map_err(|_| Fault::internal("a store's token cannot be read"))
}

fn written(kept: &Kept) -> Result<String, Fault> {
    serde_json::to_string(kept).map_err(|error| Fault::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::store::{Place, open};
    use crate::auth::keys::{Keys, Ring};
    use crate::auth::{TokenError, Verifier};
    use crate::clock::{Entropy, SystemClock};

    struct Shop {
        cabinet: SharedCabinet,
        keys: Keys,
        revoked: Revoked,
        _dir: tempfile::TempDir,
    }

    impl Shop {
        async fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let cabinet = open(Place::File(dir.path().to_owned())).await.expect("a cabinet");
            Self { cabinet, keys: Keys::random(&Entropy::seeded(1)), revoked: Revoked::default(), _dir: dir }
        }

        fn devices(&self) -> Devices {
            Devices::new(DeviceParts {
                cabinet: self.cabinet.clone(),
                signer: DeviceSigner::new(&self.keys.device),
                revoked: self.revoked.clone(),
                clock: Arc::new(SystemClock),
                tracker: TaskTracker::new(),
            })
        }

        fn judge(&self, token: &str) -> Result<Role, TokenError> {
            let verifier = Verifier::new(&self.keys, self.revoked.clone());
            verifier.verify(token, SystemClock.wall()).map(|who| who.role)
        }
    }

    fn wanted(key: &str, name: &str) -> NewDevice {
        NewDevice {
            store: StoreId::new("st_1"),
            role: Role::Pos,
            name: name.to_owned(),
            by: AccountId::new("seller"),
            command: Hash16::of("command", &[key.as_bytes()]),
            body: Hash16::of("body", &[name.as_bytes()]),
        }
    }

    async fn names(devices: &Devices, store: &str) -> Vec<String> {
        let all = devices.list(StoreId::new(store), String::new(), 10).await.expect("a list");
        let mut names: Vec<String> = all.into_iter().map(|one| one.name).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn one_command_makes_one_token_however_often_it_comes_and_whatever_key_signs_by_then() {
        let mut shop = Shop::new().await;
        let first = shop.devices().give(wanted("a", "counter")).await.expect("a token");
        assert_eq!((shop.judge(&first.token), first.replayed), (Ok(Role::Pos), false));
        let again = shop.devices().give(wanted("a", "counter")).await.expect("the same");
        assert_eq!(again, Given { replayed: true, ..first.clone() });
        assert_eq!(shop.devices().give(wanted("a", "other")).await, Err(DeviceError::KeyReused));
        let other = shop.devices().give(wanted("b", "hall")).await.expect("another");
        assert_ne!((&other.id, &other.token), (&first.id, &first.token));
        let fresh = Keys::random(&Entropy::seeded(2)).device;
        let ring = Ring::with(fresh.current().clone(), vec![shop.keys.device.current().clone()], "x");
        shop.keys.device = ring.expect("one more");
        assert_eq!(shop.devices().give(wanted("a", "counter")).await.expect("the same").token, first.token);
        assert_eq!(shop.judge(&first.token), Ok(Role::Pos));
        assert_eq!(names(&shop.devices(), "st_1").await, ["counter", "hall"]);
    }

    #[tokio::test]
    async fn a_deleted_token_is_dead_is_not_listed_and_does_not_come_back() {
        let shop = Shop::new().await;
        let (devices, by) = (shop.devices(), AccountId::new("seller"));
        let given = devices.give(wanted("a", "counter")).await.expect("a token");
        let other = devices.give(wanted("b", "hall")).await.expect("a token");
        let delete = |store: &str, id: &CredentialId| devices.delete(StoreId::new(store), id.clone(), by.clone());
        assert_eq!(delete("st_2", &given.id).await, Ok(false), "somebody else's store has no such token");
        assert_eq!(delete("st_1", &CredentialId::new("dt_none")).await, Ok(false));
        assert_eq!(shop.judge(&given.token), Ok(Role::Pos));
        for _ in 0..2 {
            assert_eq!(delete("st_1", &given.id).await, Ok(true));
            assert_eq!(shop.judge(&given.token), Err(TokenError::Revoked));
        }
        assert_eq!(names(&devices, "st_1").await, ["hall"]);
        let again = devices.give(wanted("a", "counter")).await.expect("the answer of before");
        assert_eq!((&again.token, shop.judge(&again.token)), (&given.token, Err(TokenError::Revoked)));
        shop.cabinet.remove(Kind::Device, given.id.as_str()).await.expect("swept");
        assert_eq!(devices.give(wanted("a", "counter")).await, Err(DeviceError::KeyReused));
        assert_eq!(shop.judge(&other.token), Ok(Role::Pos));
        let (list, _) = shop.cabinet.revoked(None).await.expect("a list");
        let list: Vec<_> = list.iter().map(|one| (one.credential.as_str(), one.until)).collect();
        assert_eq!(list, [(given.id.as_str(), None)], "for as long as it would be good");
        let trail = shop.cabinet.trail(Some("seller"), None, 10).await.expect("a trail");
        let kinds: Vec<_> = trail.iter().map(|one| one.entry.kind.as_str()).collect();
        assert_eq!(kinds, ["store-token-deleted", "store-token-given", "store-token-given"]);
    }

    #[tokio::test]
    async fn a_store_has_so_many_tokens_and_others_are_not_counted() {
        let shop = Shop::new().await;
        let devices = shop.devices();
        for n in 0..limits::STORE_TOKENS {
            let family = Some("st_1".to_owned());
            let record = written(&devices.kept(&wanted("x", "n"))).expect("JSON");
            let document = Document { family, ..Document::new(Kind::Device, format!("dt_{n}"), record) };
            assert_eq!(shop.cabinet.put(document, None).await, Ok(Put::Done));
        }
        assert_eq!(devices.give(wanted("a", "counter")).await, Err(DeviceError::Full));
        let elsewhere = NewDevice { store: StoreId::new("st_2"), ..wanted("a", "counter") };
        assert!(devices.give(elsewhere).await.is_ok());
        let id = CredentialId::new("dt_7");
        assert_eq!(devices.delete(StoreId::new("st_1"), id, AccountId::new("seller")).await, Ok(true));
        assert!(devices.give(wanted("b", "counter")).await.is_ok(), "a place was given back");
    }
}
