//! Which of the provider's codes mean "no"? The documented refusals, in one place.
//!
//! From Toss Payments' published list of error codes. A code stands here only if it says that this payment (or this refund)
//! was refused and nothing was moved. Not here, on purpose: temporary errors, "already processed", requests that run at the
//! same time, and whatever says that *we* are set up wrongly, which must not cost buyers their seats.

/// A documented refusal and the status with which it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub status: u16,
}

macro_rules! refusals {
    ($($status:literal: $($code:literal)+;)+) => { &[$($(Refusal { code: $code, status: $status }),+),+] };
}

/// "No" to taking money.
pub const CONFIRM: &[Refusal] = refusals! {
    400: "EXCEED_MAX_CARD_INSTALLMENT_PLAN" "NOT_ALLOWED_POINT_USE" "INVALID_REJECT_CARD" "BELOW_MINIMUM_AMOUNT"
         "INVALID_CARD_EXPIRATION" "INVALID_STOPPED_CARD" "EXCEED_MAX_DAILY_PAYMENT_COUNT"
         "NOT_SUPPORTED_INSTALLMENT_PLAN_CARD_OR_MERCHANT" "INVALID_CARD_INSTALLMENT_PLAN"
         "NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN" "EXCEED_MAX_PAYMENT_AMOUNT" "INVALID_CARD_LOST_OR_STOLEN"
         "RESTRICTED_TRANSFER_ACCOUNT" "INVALID_CARD_NUMBER" "EXCEED_MAX_ONE_DAY_WITHDRAW_AMOUNT"
         "EXCEED_MAX_ONE_TIME_WITHDRAW_AMOUNT" "EXCEED_MAX_AMOUNT" "INVALID_ACCOUNT_INFO_RE_REGISTER"
         "NOT_AVAILABLE_PAYMENT" "EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT";
    403: "REJECT_ACCOUNT_PAYMENT" "REJECT_CARD_PAYMENT" "REJECT_CARD_COMPANY" "REJECT_TOSSPAY_INVALID_ACCOUNT"
         "EXCEED_MAX_AUTH_COUNT" "EXCEED_MAX_ONE_DAY_AMOUNT" "NOT_AVAILABLE_BANK" "INVALID_PASSWORD" "FDS_ERROR";
    404: "NOT_FOUND_PAYMENT" "NOT_FOUND_PAYMENT_SESSION";
};

/// "No" to giving money back.
pub const CANCEL: &[Refusal] = refusals! {
    400: "INVALID_REFUND_ACCOUNT_INFO" "EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT" "INVALID_REFUND_ACCOUNT_NUMBER"
         "INVALID_BANK" "NOT_MATCHES_REFUNDABLE_AMOUNT" "REFUND_REJECTED" "FORBIDDEN_BANK_REFUND_REQUEST";
    403: "NOT_CANCELABLE_AMOUNT" "EXCEED_MAX_REFUND_DUE" "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT"
         "NOT_ALLOWED_PARTIAL_REFUND" "NOT_CANCELABLE_PAYMENT_FOR_DORMANT_USER";
};

/// All of the money is back already.
pub const ALREADY_CANCELLED: &[&str] = &["ALREADY_CANCELED_PAYMENT", "ALREADY_REFUND_PAYMENT"];

/// The one that says that a payment does not exist, to who looks for it.
pub const NOT_FOUND: &str = "NOT_FOUND_PAYMENT";

/// Is this answer a documented "no"? The status must be one of a refusal too: a known code on a 500 is not documented.
#[must_use]
pub fn refuses(table: &[Refusal], status: u16, code: &str) -> bool {
    matches!(status, 400 | 403 | 404) && table.iter().any(|refusal| refusal.code == code)
}
