//! Becoming a seller, and what admins see of accounts: applications, and the trail of what happened.

// Routes: POST /v1/sellers/apply · GET /v1/admin/sellers · POST /v1/admin/sellers/{id}/approve · GET /v1/admin/security

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::extract::{Admins, Asking, At, By, ListOf, Listing, Members, Params};
use crate::accounts::{Accounts, Application, Happened};
use crate::auth::Role;
use crate::ids::AccountId;
use crate::projections::table::Value;
use crate::timestamp::Timestamp;

// Responses

#[derive(Serialize, ToSchema)]
pub struct Applied {
    #[schema(value_type = String)]
    account_id: AccountId,
    /// `applied`: it waits for an admin.
    status: &'static str,
    #[schema(value_type = String)]
    applied_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub struct Approved {
    #[schema(value_type = String)]
    account_id: AccountId,
    #[schema(value_type = String)]
    role: Role,
}

#[derive(Serialize, ToSchema)]
pub struct ApplicationItem {
    #[schema(value_type = String)]
    account_id: AccountId,
    nickname: String,
    #[schema(value_type = String)]
    applied_at: Timestamp,
}

impl From<Application> for ApplicationItem {
    fn from(application: Application) -> Self {
        let Application { account, nickname, applied_at } = application;
        Self { account_id: account, nickname, applied_at }
    }
}

#[derive(Serialize, ToSchema)]
pub struct SecurityEvent {
    #[schema(value_type = String)]
    at: Timestamp,
    /// For example `signed-in`, `sign-in-failed`, `password-reset`, `refresh-token-reused`.
    kind: String,
    account_id: Option<String>,
    /// Who did it, where that is somebody else.
    actor: Option<String>,
    /// The same for the same network address; the address itself is not kept.
    origin: Option<String>,
    detail: Option<String>,
}

impl From<Happened> for SecurityEvent {
    fn from(Happened { entry, .. }: Happened) -> Self {
        Self {
            at: entry.at,
            kind: entry.kind,
            account_id: entry.account,
            actor: entry.actor,
            origin: entry.origin,
            detail: entry.detail,
        }
    }
}

// Handlers

#[utoipa::path(post, path = "/v1/sellers/apply", tag = "accounts",
    responses((status = 200, body = Applied), (status = "4XX", body = ProblemBody)))]
pub async fn apply(by: By<Members>, asking: Asking, State(accounts): State<Accounts>) -> Answered {
    let account_id = by.principal.account;
    let (applied_at, replayed) = accounts.apply(account_id.clone(), asking.bare(account_id.as_str())).await?;
    Ok(Answer::ok(&Applied { account_id, status: "applied", applied_at })?.replayed(replayed).done())
}

#[utoipa::path(get, path = "/v1/admin/sellers", tag = "operators",
    params(("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<ApplicationItem>, description = "applications that wait"),
        (status = "4XX", body = ProblemBody)))]
pub async fn applications(_by: By<Admins>, listing: Listing, State(accounts): State<Accounts>) -> Answered {
    let after = match listing.page().after.as_deref() {
        Some([Value::Text(after)]) => after.as_ref().to_owned(),
        _ => String::new(),
    };
    let found = accounts.applications(after, listing.page().limit + 1).await?;
    listing.cut(found, |application| Value::Text(application.account.as_str().into()), ApplicationItem::from)
}

#[utoipa::path(post, path = "/v1/admin/sellers/{id}/approve", tag = "operators", params(("id" = String, Path,)),
    responses((status = 200, body = Approved), (status = "4XX", body = ProblemBody)))]
pub async fn approve(
    by: By<Admins>,
    At(id): At<AccountId>,
    asking: Asking,
    State(accounts): State<Accounts>,
) -> Answered {
    let admin = by.principal.account;
    let replayed = accounts.approve(id.clone(), admin.clone(), asking.bare(admin.as_str())).await?;
    Ok(Answer::ok(&Approved { account_id: id, role: Role::Seller })?.replayed(replayed).done())
}

#[utoipa::path(get, path = "/v1/admin/security", tag = "operators",
    params(("account_id" = Option<String>, Query,), ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<SecurityEvent>, description = "what happened to accounts, newest first"),
        (status = "4XX", body = ProblemBody)))]
pub async fn security(_by: By<Admins>, listing: Listing, params: Params, State(accounts): State<Accounts>) -> Answered {
    let before = match listing.page().after.as_deref() {
        Some([Value::Int(before)]) => Some(*before),
        _ => None,
    };
    let account = params.get("account_id").map(str::to_owned);
    let found = accounts.happened(account, before, listing.page().limit + 1).await?;
    listing.cut(found, |happened| Value::Int(happened.seq), SecurityEvent::from)
}
