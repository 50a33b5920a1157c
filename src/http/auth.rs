//! Coming in and going out: login, refresh, logout, passwords, second factor, unlocking.
//!
//! A page of our own origin may have its refresh token kept in a cookie that no script can read; then a refresh must come
//! from an origin that is allowed to ask.

// Routes: POST /v1/auth/login · refresh · logout · logout-all · password/forgot · password/reset · password/change ·
// totp/enrol · totp/confirm · totp/disable · unlock

use axum::extract::State;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::{Code, Problem};
use super::extract::{Asking, Body, By, Input, OriginCheck, People};
use super::qr;
use crate::accounts::{Accounts, Login, SignedIn};
use crate::ids::CredentialId;
use crate::limits;

const COOKIE_NAME: &str = "__Host-onsale-refresh";

// Requests

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub email: String,
    pub password: String,
    /// Six digits of the second factor, or a recovery code.
    pub totp: Option<String>,
    /// Keep the refresh token in a cookie (HttpOnly, SameSite=Strict) instead of giving it to the page.
    #[serde(default)]
    pub cookie: bool,
}

impl Input for Credentials {}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Absent: the one in the cookie.
    pub refresh_token: Option<String>,
}

impl Input for Refresh {
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub email: String,
}

impl Input for Address {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    pub email: String,
    pub code: String,
    pub new_password: String,
}

impl Input for Reset {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedPassword {
    pub current_password: String,
    pub new_password: String,
}

impl Input for ChangedPassword {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    pub password: String,
}

impl Input for Enrol {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    pub code: String,
}

impl Input for Confirm {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disable {
    pub password: String,
    pub code: String,
}

impl Input for Disable {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    pub email: String,
    /// Absent: mail one.
    pub code: Option<String>,
}

impl Input for Unlock {}

// Responses

#[derive(Serialize, ToSchema)]
pub struct Tokens {
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// Absent when it is kept in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Enrolled {
    /// For apps that cannot read the picture.
    secret: String,
    otpauth_uri: String,
    /// The URI as a picture (SVG).
    qr_svg: String,
}

#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each stands in once for a code of the app. Shown only now.
    recovery_codes: Vec<String>,
}

/// Signed in: the refresh token in the body, or in the cookie.
fn tokens(signed_in: SignedIn, cookie: bool) -> Answered {
    let body = Tokens {
        access_token: signed_in.access,
        token_type: "Bearer",
        expires_in: limits::ACCESS_TIME.as_secs(),
        refresh_token: (!cookie).then(|| signed_in.refresh.clone()),
    };
    let answer = Answer::ok(&body)?.replayed(signed_in.replayed).no_store();
    Ok(if cookie { kept(answer, &signed_in.refresh, limits::SESSION_IDLE.as_secs()) } else { answer }.done())
}

fn kept(answer: Answer, token: &str, seconds: u64) -> Answer {
    let cookie = format!("{COOKIE_NAME}={token}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    match HeaderValue::from_str(&cookie) {
        Ok(mut value) => {
            value.set_sensitive(true);
            answer.with(SET_COOKIE, value)
        }
        Err(_) => answer,
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value.to_owned())
}

fn session_of(token: &str) -> &str {
    token.split('.').next().unwrap_or_default()
}

// Handlers

#[utoipa::path(post, path = "/v1/auth/login", tag = "accounts", request_body = Credentials,
    responses((status = 200, body = Tokens), (status = "4XX", body = ProblemBody)))]
pub async fn login(
    asking: Asking,
    origin: Result<OriginCheck, Problem>,
    State(accounts): State<Accounts>,
    body: Body<Credentials>,
) -> Answered {
    if body.value.cookie {
        origin?;
    }
    let asked = asking.about(&body.value.email, &body);
    let Credentials { email, password, totp, cookie } = body.value;
    tokens(accounts.login(Login { email, password, totp }, asked).await?, cookie)
}

#[utoipa::path(post, path = "/v1/auth/refresh", tag = "accounts", request_body = Refresh,
    responses((status = 200, body = Tokens), (status = "4XX", body = ProblemBody)))]
pub async fn refresh(
    asking: Asking,
    origin: Result<OriginCheck, Problem>,
    headers: HeaderMap,
    State(accounts): State<Accounts>,
    body: Body<Refresh>,
) -> Answered {
    let (token, by_cookie) = match body.value.refresh_token.clone() {
        Some(token) => (token, false),
        None => {
            let token =
                cookie(&headers).ok_or_else(|| Problem::new(Code::MalformedBody, "a refresh token is required"))?;
            origin?;
            (token, true)
        }
    };
    let asked = asking.about(session_of(&token), &body);
    tokens(accounts.refresh(token, asked).await?, by_cookie)
}

#[utoipa::path(post, path = "/v1/auth/logout", tag = "accounts", request_body = Refresh,
    responses((status = 204, description = "the session is over"), (status = "4XX", body = ProblemBody)))]
pub async fn logout(
    by: Option<By<People>>,
    _asking: Asking,
    origin: Result<OriginCheck, Problem>,
    headers: HeaderMap,
    State(accounts): State<Accounts>,
    body: Body<Refresh>,
) -> Answered {
    // An operator's token has no session: then there is nothing to end.
    let (named, session) = (by.is_some(), by.and_then(|by| by.principal.session));
    let mut token = body.value.refresh_token;
    if token.is_none()
        && let Some(kept) = cookie(&headers)
    {
        origin?;
        token = Some(kept);
    }
    if !named && token.is_none() {
        return Err(Problem::unauthorized("a bearer token or a refresh token is required"));
    }
    accounts.logout(session.as_ref().map(CredentialId::to_string), token).await?;
    let answer = Answer::empty();
    Ok(if cookie(&headers).is_some() { kept(answer, "", 0) } else { answer }.done())
}

#[utoipa::path(post, path = "/v1/auth/logout-all", tag = "accounts",
    responses((status = 204, description = "all sessions are over"), (status = "4XX", body = ProblemBody)))]
pub async fn logout_all(by: By<People>, asking: Asking, State(accounts): State<Accounts>) -> Answered {
    let asked = asking.bare(by.principal.account.as_str());
    accounts.logout_all(by.principal.account, asked).await?;
    Ok(Answer::empty().done())
}

#[utoipa::path(post, path = "/v1/auth/password/forgot", tag = "accounts", request_body = Address,
    responses((status = 204, description = "a code is mailed, if there is such an account"),
        (status = "4XX", body = ProblemBody)))]
pub async fn forgot(asking: Asking, State(accounts): State<Accounts>, body: Body<Address>) -> Answered {
    let asked = asking.about(&body.value.email, &body);
    accounts.forgot_password(body.value.email, asked).await?;
    Ok(Answer::empty().done())
}

#[utoipa::path(post, path = "/v1/auth/password/reset", tag = "accounts", request_body = Reset,
    responses((status = 204, description = "the password is set, and all sessions are over"),
        (status = "4XX", body = ProblemBody)))]
pub async fn reset(asking: Asking, State(accounts): State<Accounts>, body: Body<Reset>) -> Answered {
    let asked = asking.about(&body.value.email, &body);
    let Reset { email, code, new_password } = body.value;
    accounts.reset_password(email, code, new_password, asked).await?;
    Ok(Answer::empty().done())
}

#[utoipa::path(post, path = "/v1/auth/password/change", tag = "accounts", request_body = ChangedPassword,
    responses((status = 204, description = "the password is set, and all other sessions are over"),
        (status = "4XX", body = ProblemBody)))]
pub async fn change_password(
    by: By<People>,
    asking: Asking,
    State(accounts): State<Accounts>,
    body: Body<ChangedPassword>,
) -> Answered {
    let who = by.principal;
    let asked = asking.about(who.account.as_str(), &body);
    let ChangedPassword { current_password, new_password } = body.value;
    accounts.change_password(who.account, who.session, current_password, new_password, asked).await?;
    Ok(Answer::empty().done())
}

#[utoipa::path(post, path = "/v1/auth/totp/enrol", tag = "accounts", request_body = Enrol,
    responses((status = 200, body = Enrolled, description = "confirm with a code made from it"),
        (status = "4XX", body = ProblemBody)))]
pub async fn enrol(by: By<People>, asking: Asking, State(accounts): State<Accounts>, body: Body<Enrol>) -> Answered {
    let asked = asking.about(by.principal.account.as_str(), &body);
    let enrolment = accounts.enrol(by.principal.account, body.value.password, asked).await?;
    let qr_svg = qr::svg(&enrolment.uri).unwrap_or_default();
    let body = Enrolled { secret: enrolment.secret, otpauth_uri: enrolment.uri, qr_svg };
    Ok(Answer::ok(&body)?.no_store().done())
}

#[utoipa::path(post, path = "/v1/auth/totp/confirm", tag = "accounts", request_body = Confirm,
    responses((status = 200, body = RecoveryCodes, description = "refresh to get a token that says so"),
        (status = "4XX", body = ProblemBody)))]
pub async fn confirm(
    by: By<People>,
    asking: Asking,
    State(accounts): State<Accounts>,
    body: Body<Confirm>,
) -> Answered {
    let who = by.principal;
    let asked = asking.about(who.account.as_str(), &body);
    let confirmed = accounts.confirm(who.account, who.session, body.value.code, asked).await?;
    let body = RecoveryCodes { recovery_codes: confirmed.recovery };
    Ok(Answer::ok(&body)?.replayed(confirmed.replayed).no_store().done())
}

#[utoipa::path(post, path = "/v1/auth/totp/disable", tag = "accounts", request_body = Disable,
    responses((status = 204, description = "there is no second factor any more"), (status = "4XX", body = ProblemBody)))]
pub async fn disable(
    by: By<People>,
    asking: Asking,
    State(accounts): State<Accounts>,
    body: Body<Disable>,
) -> Answered {
    let asked = asking.about(by.principal.account.as_str(), &body);
    accounts.give_up(by.principal.account, body.value.password, body.value.code, asked).await?;
    Ok(Answer::empty().done())
}

#[utoipa::path(post, path = "/v1/auth/unlock", tag = "accounts", request_body = Unlock,
    responses((status = 204, description = "unlocked, or a code is mailed if there is such an account"),
        (status = "4XX", body = ProblemBody)))]
pub async fn unlock(asking: Asking, State(accounts): State<Accounts>, body: Body<Unlock>) -> Answered {
    let asked = asking.about(&body.value.email, &body);
    let Unlock { email, code } = body.value;
    accounts.unlock(email, code, asked).await?;
    Ok(Answer::empty().done())
}
