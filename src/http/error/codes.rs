//! Which codes can a problem carry, with which status, and what does each mean? One table, which `/problems/{code}` explains.

macro_rules! codes {
    ($($variant:ident $code:literal $status:literal $title:literal $help:literal;)+) => {
        /// Every code that a problem can carry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($variant),+
        }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// What the reader of `/problems/{code}` can do about it.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),+ }
            }
        }
    };
}

codes! {
    MalformedBody "malformed-body" 400 "The body cannot be read" "The body is not the JSON that this route takes: broken syntax, an unknown or repeated member, a missing member, a value of the wrong type, or something after the end. Money is a JSON integer, never a string.";
    UnknownParameter "unknown-parameter" 400 "Unknown query parameter" "The route does not take this query parameter.";
    InvalidParameter "invalid-parameter" 400 "Query parameter without meaning" "A query parameter that the route takes has a value that it cannot have.";
    InvalidEventId "invalid-event-id" 400 "Not an event id" "Last-Event-ID or last_event_id must be an id that a stream sent: `<partition>:<n>`.";
    KeyInvalid "idempotency-key-invalid" 400 "Bad Idempotency-Key" "An idempotency key is 1 to 255 visible ASCII characters.";
    KeyRequired "idempotency-key-required" 400 "Idempotency-Key required" "Send an Idempotency-Key, so that a repetition of this request can be told from a second wish.";
    Unauthorized "unauthorized" 401 "Not signed in" "Send a valid access token: `Authorization: Bearer <token>`.";
    TicketInvalid "ticket-invalid" 401 "Stream ticket not valid" "The ticket is not ours, for another path, or too old. Get a new one with POST /v1/stream-tickets.";
    InvalidCredentials "invalid-credentials" 401 "Not signed in" "The e-mail address, the password or the code is wrong, or there were too many failures. A mail says how to unlock an account.";
    TotpRequired "totp-required" 401 "A second factor is required" "Send `totp` along: six digits of the app, or a recovery code.";
    RefreshInvalid "refresh-token-invalid" 401 "Refresh token not valid" "It was used before, its session is over, or it is not ours. Sign in again.";
    PaymentDeclined "payment-declined" 402 "The payment was declined" "`psp_code` is the payment provider's word. Seats are held until `hold_expires_at`; `attempts_left` more payments may be tried.";
    SecondFactorRequired "second-factor-required" 403 "A second factor is required" "Set one up with POST /v1/auth/totp/enrol and confirm it, then sign in with it. Admins need it for everything but their own account, sellers to create shows and performances.";
    RoleRequired "role-required" 403 "Another role is required" "The token is good, but its role may not use this route.";
    OriginNotAllowed "origin-not-allowed" 403 "Not from this page" "A request with cookies is taken from our own pages and from the origins that the operator named.";
    NotFound "not-found" 404 "Not found" "There is no such thing, or it belongs to somebody else.";
    MethodNotAllowed "method-not-allowed" 405 "Method not allowed" "The Allow header names the methods of this path.";
    RequestTimeout "request-timeout" 408 "The request came too slowly" "The body did not arrive in time. Nothing was done.";
    SeatUnavailable "seat-unavailable" 409 "Seats are not available" "`seats` names all the seats that are taken or kept from sale. Nothing was held.";
    MemberLimit "member-limit" 409 "More seats than one member may have" "`limit` is how many seats one member may have here, `held` how many are held for you now, `sold` how many you have. Nothing was held.";
    TooManyLiveOrders "too-many-live-orders" 409 "Too many unpaid orders" "`limit` is how many orders of one member may hold seats at once here. Pay for one or cancel it.";
    InUse "in-use" 409 "In use already" "Seats may have been sold under these terms; `detail` says what cannot be changed any more.";
    SaleNotOpen "sale-not-open" 409 "The sale has not opened" "`opens_at` says when it will, `at` is the server's time of the decision.";
    SaleClosed "sale-closed" 409 "The sale is closed" "Nothing can be ordered for this performance any more.";
    SalePaused "sale-paused" 409 "The sale is paused" "The seller has paused the sale. Orders that hold seats go on.";
    OrderNotCancellable "order-not-cancellable" 409 "The order cannot be cancelled" "`order_status` says why.";
    PaymentInFlight "payment-in-flight" 409 "A payment is under way" "A payment or refund of this order has not been settled. Ask again when the order says how it ended.";
    OrderNotPayable "order-not-payable" 409 "The order cannot be paid for" "`order_status` says why. Nothing was taken.";
    CancelClosed "cancel-closed" 409 "Too late to cancel" "Buyers could cancel until `cancel_until`. The seller still can.";
    TicketUsed "ticket-used" 409 "The ticket has been used" "`tickets` names those that were checked in.";
    TicketVoid "ticket-void" 409 "The ticket is not valid any more" "It was given back, or is about to be.";
    NotInReview "order-not-in-review" 409 "Nothing to settle" "`order_status` says how the order stands. Only what is under review can be settled by hand.";
    RulingUnfit "ruling-unfit" 409 "Not what has to be found out" "A payment is settled as captured, not-captured or refunded; a refund as refunded or captured (the money is still there).";
    PerformanceCancelled "performance-cancelled" 409 "The performance does not take place" "It was cancelled, and nothing about it can be changed any more.";
    CouponNotUsable "coupon-not-usable" 409 "The coupon cannot be used here" "`reason`: unknown, revoked, used, reserved (by another order), expired, show, currency, min-amount.";
    CouponSoldOut "coupon-sold-out" 409 "Sold out" "All coupons of this kind have been issued.";
    CouponAlreadyIssued "coupon-already-issued" 409 "Already issued" "This member has the coupon already; `serial` names it.";
    CouponNotOpen "coupon-not-open" 409 "Not open yet" "`opens_at` says when it will, `at` is the server's time of the decision.";
    CouponClosed "coupon-closed" 409 "Closed" "This coupon is not issued any more.";
    PaymentMismatch "payment-mismatch" 409 "Other content under the same payment id" "This payment was recorded before with other content.";
    AlreadyCancelled "already-cancelled" 409 "Already cancelled" "Nothing is left of this payment.";
    TooManyTokens "too-many-tokens" 409 "The store has as many tokens as it may" "`limit` is how many. Delete one that no device uses any more.";
    StoreFull "store-full" 409 "The store is full" "The store has recorded as many payments as it can remember.";
    TotpEnrolled "totp-already-enrolled" 409 "A second factor is set up" "Give up the one that there is before setting up another.";
    TotpMissing "totp-not-enrolled" 409 "No second factor is set up" "Begin with POST /v1/auth/totp/enrol.";
    TotpNeeded "totp-needed" 409 "This role needs its second factor" "Sellers and admins cannot do without.";
    AlreadySeller "already-seller" 409 "Nothing to apply for" "Only members become sellers.";
    NotApplied "not-applied" 409 "Nobody has applied" "The account has not applied to become a seller.";
    KeyInUse "idempotency-key-in-use" 409 "The same request is still running" "Wait as long as Retry-After says and send it again.";
    BodyTooLarge "body-too-large" 413 "The body is too large" "A body may have 64 KiB, a venue 2 MiB.";
    UnsupportedMediaType "unsupported-media-type" 415 "Not JSON" "Send the body with `Content-Type: application/json`.";
    InvalidValue "invalid-value" 422 "A value without meaning" "`errors` names each value by its JSON pointer and says what is wrong with it.";
    CodeInvalid "code-invalid" 422 "The code is not valid" "It is wrong, was used, is too old, or was tried too often. Ask for another one.";
    NotAvailable "not-available" 422 "Not available yet" "The contract has this member, but this version of the server does not.";
    KeyReused "idempotency-key-reused" 422 "Idempotency-Key used before" "The same key came before with another body. Use a fresh key for another wish.";
    TooManySeats "too-many-seats" 422 "Too many seats" "`limit` is how many seats one order may have here.";
    AmountMismatch "amount-mismatch" 422 "Another amount is to be paid" "`expected` is the order's amount. Nothing was taken.";
    PaymentTooOld "payment-too-old" 422 "The payment is too old" "`oldest` is the earliest `paid_at` that the store still takes.";
    AmountExceedsRemaining "amount-exceeds-remaining" 422 "More than is left" "`remaining` is what is left of the payment.";
    TooManyFailures "too-many-failures" 429 "Too many failures" "There were too many failures to sign in from this address. Try again after Retry-After.";
    RateLimited "rate-limited" 429 "Too many requests" "`per` says whether this account or this address asks too often, `limit` names the limit. Nothing was done. Try again after Retry-After; RateLimit says on other answers what is left.";
    TooManyHolds "too-many-holds" 429 "Too many holds without payment" "`limit` holds of yours ended unpaid within ten minutes. New orders for this performance are taken again at `until`; `at` is the server's time of the decision.";
    TooManyStreams "too-many-streams" 429 "Too many open streams" "This account or this address (`per` says which) has as many open streams as it may. Close one, or try again after Retry-After.";
    Internal "internal" 500 "Internal error" "Something is wrong with the server. Nothing was done. `request_id` helps its operators to find out.";
    Overloaded "overloaded" 503 "Too much to do" "Nothing was done. Try again after Retry-After.";
    PaymentsUnavailable "payments-unavailable" 503 "Payments cannot be taken just now" "No payment provider is configured, or too many payments wait for it. Nothing was taken; the hold goes on to its deadline.";
    TooManyWatchers "too-many-watchers" 503 "Too many open streams" "This node cannot take more streams. Try again after Retry-After, or on another node.";
    Unavailable "unavailable" 503 "Not available just now" "Nothing was done. Try again after Retry-After.";
    NotOwner "not-owner" 503 "Not served by this node" "Nothing was done. Try again after Retry-After, or on another node.";
    ReadBehind "read-behind" 503 "Not that far yet" "The log has not reached `min_position` in time. Try again after Retry-After.";
    TimedOut "timed-out" 503 "It took too long" "The answer could not be made in time. Try again.";
    OutcomeUnknown "outcome-unknown" 503 "The outcome is not known" "The command may or may not have been done. Repeat it with the same Idempotency-Key to find out.";
}
