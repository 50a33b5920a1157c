//! Who is calling, and may their role use this route at all? Whose *things* they may touch is decided by the rules.

use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use http::Method;
use http::header::AUTHORIZATION;
use http::request::Parts;
use std::sync::Arc;

use super::query::Params;
use crate::auth::{Principal, Role, Tickets, Verifier};
use crate::clock::Clock;
use crate::http::edge::Visit;
use crate::http::error::{Code, Problem};
use crate::throttle::Class;

/// The roles of a route, and whether it insists on an idempotency key.
pub trait Gate: Send + Sync + 'static {
    const ROLES: &'static [Role];
    const KEYED: bool = false;
    /// Who must have shown a second factor.
    const PROVEN: Proven = Proven::Admins;
    /// The limit of an account's commands here, where it is one of its own.
    const LIMIT: Class = Class::CommandPerAccount;
}

/// Who must have shown a second factor to use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// What everybody needs to get one, and to go out.
    Nobody,
    Admins,
    Everybody,
}

impl Proven {
    fn asks(self, who: &Principal) -> bool {
        match self {
            Self::Nobody => false,
            Self::Admins => who.role == Role::Admin,
            Self::Everybody => true,
        }
    }
}

macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident: [$($role:ident),+] $(keyed $keyed:literal)? $(limit $limit:ident)?
        $(proven $proven:ident)?;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Gate for $name {
            const ROLES: &'static [Role] = &[$(Role::$role),+];
            $(const KEYED: bool = $keyed;)?
            $(const LIMIT: Class = Class::$limit;)?
            $(const PROVEN: Proven = Proven::$proven;)?
        }
    )+};
}

gates! {
    /// Any token will do.
    Anyone: [Member, Seller, Counsellor, Admin, Pos, Display];
    /// Any token will do to be told whose it is.
    Oneself: [Member, Seller, Counsellor, Admin, Pos, Display] proven Nobody;
    /// What people do with their own account.
    People: [Member, Seller, Counsellor, Admin] proven Nobody;
    Members: [Member];
    /// Placing an order always needs a key.
    Buyers: [Member] keyed true limit PlacePerAccount;
    /// Paying is the buyer's business alone.
    Payers: [Member] keyed true;
    Cancellers: [Member, Seller, Admin] keyed true;
    Sellers: [Seller, Admin];
    /// Who puts something on sale.
    Creators: [Seller, Admin] proven Everybody;
    /// A store's payment source.
    Counters: [Pos] limit FeedPerAccount;
    OrderReaders: [Member, Seller, Admin];
    StoreReaders: [Pos, Display, Seller, Admin];
    StoreWatchers: [Display, Seller, Admin];
    Admins: [Admin];
}

/// The caller, whose role passes the gate.
#[derive(Clone, Debug)]
pub struct By<G: Gate> {
    pub principal: Principal,
    gate: PhantomData<G>,
}

impl<G, S> FromRequestParts<S> for By<G>
where
    G: Gate,
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
    Arc<dyn Clock>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let clock = <Arc<dyn Clock>>::from_ref(state);
        let token = bearer(parts).ok_or_else(|| Problem::unauthorized("a bearer token is required"))?;
        let principal = <Arc<Verifier>>::from_ref(state).verify(token, clock.wall())?;
        require_role(&principal, G::ROLES)?;
        require_proof(&principal, G::PROVEN)?;
        charge(parts, &principal, G::LIMIT)?;
        Ok(Self { principal, gate: PhantomData })
    }
}

/// A caller who may have come without a token; with one, it must be good.
impl<G, S> OptionalFromRequestParts<S> for By<G>
where
    G: Gate,
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
    Arc<dyn Clock>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        <Self as FromRequestParts<S>>::from_request_parts(parts, state).await.map(Some)
    }
}

/// Who opens a stream: by token, or by a ticket for this very path.
#[derive(Clone, Debug)]
pub struct Watcher(pub Principal);

impl<S> FromRequestParts<S> for Watcher
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
    Arc<Tickets>: FromRef<S>,
    Arc<dyn Clock>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts)?;
        let Some(ticket) = params.get("ticket").filter(|_| !parts.headers.contains_key(AUTHORIZATION)) else {
            return <By<Anyone> as FromRequestParts<S>>::from_request_parts(parts, state)
                .await
                .map(|by| Self(by.principal));
        };
        let reconnect = super::super::streams::last_event_id(&parts.headers, &params)?.is_some();
        let now = <Arc<dyn Clock>>::from_ref(state).wall();
        let tickets = <Arc<Tickets>>::from_ref(state);
        let path = parts.uri.path();
        let principal = tickets.verify(ticket, path, reconnect, now).map_err(|_| Problem::ticket_invalid())?;
        require_proof(&principal, Proven::Admins)?;
        Ok(Self(principal))
    }
}

/// Counts the request for its account. Admins have no limit: they are who is called when something is wrong. Streams are
/// bounded by how many are open at once, and a store's displays may share an account.
fn charge(parts: &Parts, who: &Principal, commands: Class) -> Result<(), Problem> {
    let Some(visit) = parts.extensions.get::<Arc<Visit>>().filter(|_| who.role != Role::Admin) else { return Ok(()) };
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    if reads && parts.uri.path().ends_with("/events") {
        return Ok(());
    }
    visit.charge(if reads { Class::ReadPerAccount } else { commands }, who.account.as_str())
}

fn require_proof(principal: &Principal, proven: Proven) -> Result<(), Problem> {
    if principal.proven || !proven.asks(principal) {
        Ok(())
    } else {
        Err(Problem::new(Code::SecondFactorRequired, "sign in with a second factor"))
    }
}

pub fn require_role(principal: &Principal, roles: &[Role]) -> Result<(), Problem> {
    if roles.contains(&principal.role) {
        Ok(())
    } else {
        Err(Problem::new(Code::RoleRequired, "the token's role may not use this route"))
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start_matches(' '))
}
