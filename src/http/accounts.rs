//! Accounts: for now, what a token says about its bearer.

// Routes: GET /v1/accounts/me

use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::extract::{By, Oneself};
use crate::auth::Role;
use crate::ids::AccountId;

// Responses

#[derive(Serialize, ToSchema)]
pub struct Me {
    #[schema(value_type = String)]
    sub: AccountId,
    #[schema(value_type = String)]
    role: Role,
    /// `null`: a signed token without an account.
    #[schema(value_type = Option<Object>)]
    account: Option<()>,
}

// Handlers

#[utoipa::path(get, path = "/v1/accounts/me", tag = "accounts",
    responses((status = 200, body = Me), (status = 401, body = ProblemBody)))]
pub async fn me(by: By<Oneself>) -> Answered {
    let body = Me { sub: by.principal.account, role: by.principal.role, account: None };
    Ok(Answer::ok(&body)?.no_store().done())
}
