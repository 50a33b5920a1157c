//! Accounts: signing up, and what somebody sees and changes of themselves.

// Routes: POST /v1/accounts · POST /v1/accounts/verify · GET, PATCH, DELETE /v1/accounts/me

use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::extract::{Asking, Body, By, Input, Oneself, People};
use crate::accounts::{Accounts, Change, Profile, SignUp};
use crate::auth::Role;
use crate::ids::AccountId;
use crate::timestamp::Timestamp;

// Requests

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    pub email: String,
    /// 8 to 128 characters; common ones are refused.
    pub password: String,
    pub nickname: String,
    pub phone: Option<String>,
}

impl Input for NewAccount {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    pub email: String,
    /// As it was mailed.
    pub code: String,
}

impl Input for Verification {}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedProfile {
    pub nickname: Option<String>,
    /// `null`: none any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub phone: Option<Option<String>>,
    pub marketing_consent: Option<bool>,
}

impl Input for ChangedProfile {}

/// Tells a member that is null from one that is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

// Responses

#[derive(Serialize, ToSchema)]
pub struct AccountCreated {
    #[schema(value_type = String)]
    account_id: AccountId,
}

#[derive(Serialize, ToSchema)]
pub struct Me {
    #[schema(value_type = String)]
    sub: AccountId,
    #[schema(value_type = String)]
    role: Role,
    /// `null`: a signed token without an account.
    account: Option<AccountBody>,
}

#[derive(Serialize, ToSchema)]
pub struct AccountBody {
    #[schema(value_type = String)]
    account_id: AccountId,
    email: String,
    nickname: String,
    phone: Option<String>,
    marketing_consent: bool,
    #[schema(value_type = Option<String>)]
    marketing_consent_at: Option<Timestamp>,
    /// The account's role; a token may still say an earlier one.
    #[schema(value_type = String)]
    role: Role,
    /// Since when an application to become a seller waits.
    #[schema(value_type = Option<String>)]
    applied_at: Option<Timestamp>,
    /// Is a second factor set up?
    totp: bool,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

impl From<Profile> for AccountBody {
    fn from(profile: Profile) -> Self {
        let waits = profile.applied_at.filter(|_| profile.role == Role::Member);
        Self {
            account_id: profile.account,
            email: profile.email,
            nickname: profile.nickname,
            phone: profile.phone,
            marketing_consent: profile.marketing_since.is_some(),
            marketing_consent_at: profile.marketing_since,
            role: profile.role,
            applied_at: waits,
            totp: profile.second_factor,
            created_at: profile.created_at,
        }
    }
}

// Handlers

#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", request_body = NewAccount,
    responses((status = 201, body = AccountCreated, description = "a code is mailed; the same for an address that is taken"),
        (status = "4XX", body = ProblemBody)))]
pub async fn create(asking: Asking, State(accounts): State<Accounts>, body: Body<NewAccount>) -> Answered {
    let asked = asking.about(&body.value.email, &body);
    let NewAccount { email, password, nickname, phone } = body.value;
    let (account_id, replayed) = accounts.sign_up(SignUp { email, password, nickname, phone }, asked).await?;
    let body = AccountCreated { account_id };
    Ok(Answer::created("/v1/accounts/me", &body)?.replayed(replayed).no_store().done())
}

#[utoipa::path(post, path = "/v1/accounts/verify", tag = "accounts", request_body = Verification,
    responses((status = 204, description = "the address is verified; there is an account"),
        (status = "4XX", body = ProblemBody)))]
pub async fn verify(asking: Asking, State(accounts): State<Accounts>, body: Body<Verification>) -> Answered {
    let asked = asking.about(&body.value.email, &body);
    accounts.verify(body.value.email, body.value.code, asked).await?;
    Ok(Answer::empty().done())
}

#[utoipa::path(get, path = "/v1/accounts/me", tag = "accounts",
    responses((status = 200, body = Me), (status = 401, body = ProblemBody)))]
pub async fn me(by: By<Oneself>, State(accounts): State<Accounts>) -> Answered {
    let principal = by.principal;
    // Tokens that were signed without an account need none to be asked.
    let profile = match &principal.session {
        Some(_) if !principal.role.is_device() => accounts.profile(principal.account.clone()).await?,
        _ => None,
    };
    let body = Me { sub: principal.account, role: principal.role, account: profile.map(AccountBody::from) };
    Ok(Answer::ok(&body)?.no_store().done())
}

#[utoipa::path(patch, path = "/v1/accounts/me", tag = "accounts", request_body = ChangedProfile,
    responses((status = 200, body = Me), (status = "4XX", body = ProblemBody)))]
pub async fn change(
    by: By<People>,
    _asking: Asking,
    State(accounts): State<Accounts>,
    body: Body<ChangedProfile>,
) -> Answered {
    let ChangedProfile { nickname, phone, marketing_consent: marketing } = body.value;
    let change = Change { nickname, phone, marketing };
    let principal = by.principal;
    let profile = accounts.change_profile(principal.account.clone(), change).await?;
    let body = Me { sub: principal.account, role: principal.role, account: Some(profile.into()) };
    Ok(Answer::ok(&body)?.no_store().done())
}

#[utoipa::path(delete, path = "/v1/accounts/me", tag = "accounts",
    responses((status = 204, description = "the person is erased; what was bought stays in the books without a name"),
        (status = "4XX", body = ProblemBody)))]
pub async fn erase(by: By<People>, asking: Asking, State(accounts): State<Accounts>) -> Answered {
    let asked = asking.bare(by.principal.account.as_str());
    accounts.erase(by.principal.account, asked).await?;
    Ok(Answer::empty().done())
}
