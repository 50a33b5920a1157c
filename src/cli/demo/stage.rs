//! What is on sale in the demo? A house, a show, a performance, a coupon and two stores, made through the public API.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use serde_json::json;

use crate::auth::keys::Keys;
use crate::auth::principal::Role;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::token::sign;
use crate::clock::{Clock, SystemClock};
use crate::timestamp::Timestamp;

pub const SECTIONS: [&str; 2] = ["A", "B"];
pub const ROWS: u64 = 10;
pub const SEATS_IN_ROW: u64 = 12;
/// Short enough that the screen shows holds which run out.
pub const HOLD: Duration = Duration::from_secs(10);
const COUPON_STOCK: u64 = 100;
const DAY: Duration = Duration::from_secs(86_400);
const ENV_FILE: &str = "demo.env";

/// What was made, and who may use it.
pub struct Stage {
    pub performance: String,
    pub coupon: String,
    pub coupon_stock: u64,
    spare_coupon: String,
    /// Each with the token of its payment source.
    pub stores: Vec<(String, String)>,
    member: String,
    seller: String,
    admin: String,
    display: String,
}

impl Stage {
    pub async fn build(client: &Client, keys: &Keys, opens_at: Timestamp) -> Result<Self, Failure> {
        let seller = sign(keys, "demo-seller", Role::Seller, None)?;
        let sections: Vec<_> = SECTIONS
            .iter()
            .map(|section| {
                let rows: Vec<_> =
                    (1..=ROWS).map(|row| json!({"row": row.to_string(), "seats": SEATS_IN_ROW})).collect();
                json!({"section": section, "grade": if *section == "A" { "VIP" } else { "R" }, "rows": rows})
            })
            .collect();
        let house = json!({"name": "Demo Hall", "timezone": "Asia/Seoul", "sections": sections});
        let venue = client.create("/v1/venues", &seller, &house).await?;
        let day = |moment: Timestamp| moment.to_string()[..10].to_owned();
        let show = json!({
            "title": "The Last Seat", "category": "concert", "description": "One evening, too many people.",
            "place": "Seoul", "starts_on": day(opens_at), "ends_on": day(opens_at.plus(30 * DAY)),
        });
        let show = client.create("/v1/shows", &seller, &show).await?;
        let performance = json!({
            "show_id": show.text("show_id"), "venue_id": venue.text("venue_id"),
            "starts_at": opens_at.plus(7 * DAY), "sale_opens_at": opens_at, "sale_closes_at": opens_at.plus(6 * DAY),
            "currency": "KRW", "prices": {"VIP": 150_000, "R": 90_000}, "hold_seconds": HOLD.as_secs(),
        });
        let performance = client.create("/v1/performances", &seller, &performance).await?;
        let coupon = json!({
            "name": "5,000 won for the first hundred", "stock": COUPON_STOCK, "opens_at": opens_at,
            "closes_at": opens_at.plus(DAY), "valid_until": opens_at.plus(7 * DAY),
            "discount": {"kind": "amount", "value": 5_000, "currency": "KRW"},
        });
        let coupon = client.create("/v1/coupons", &seller, &coupon).await?;
        // The reader's own: the crowd knows nothing of it, so that a pasted line finds one whenever it is pasted.
        let spare = json!({
            "name": "one for you", "stock": 1_000, "opens_at": Timestamp(0), "closes_at": opens_at.plus(DAY),
            "valid_until": opens_at.plus(7 * DAY), "discount": {"kind": "percent", "value": 10},
        });
        let spare = client.create("/v1/coupons", &seller, &spare).await?;
        let mut stores = Vec::new();
        for name in ["Lobby", "Terrace"] {
            let store = client.create("/v1/stores", &seller, &json!({"name": name})).await?;
            let id = store.text("store_id").to_owned();
            let pos = sign(keys, &format!("demo-pos-{name}"), Role::Pos, Some(&id))?;
            stores.push((id, pos));
        }
        Ok(Self {
            performance: performance.text("performance_id").to_owned(),
            coupon: coupon.text("coupon_id").to_owned(),
            coupon_stock: COUPON_STOCK,
            spare_coupon: spare.text("coupon_id").to_owned(),
            member: sign(keys, "demo-member", Role::Member, None)?,
            admin: sign(keys, "demo-admin", Role::Admin, None)?,
            display: sign(keys, "demo-display", Role::Display, stores.first().map(|(id, _)| id.as_str()))?,
            stores,
            seller,
        })
    }

    /// Tokens for the reader's own shell; readable by the owner alone, since whoever has them is admin here.
    pub fn write_env(&self, base: &str) -> Result<(), Failure> {
        let failed = |e: std::io::Error| Failure::of(format!("{ENV_FILE} cannot be written here: {e}"));
        let pos = self.stores.first().map_or("", |(_, token)| token);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(ENV_FILE)
            .map_err(failed)?;
        let all = [
            ("BASE", base),
            ("MEMBER", &self.member),
            ("SELLER", &self.seller),
            ("ADMIN", &self.admin),
            ("POS", pos),
            ("DISPLAY", &self.display),
        ];
        for (name, value) in all {
            writeln!(file, "{name}={value}").map_err(failed)?;
        }
        Ok(())
    }

    /// Five lines that work as they stand, in any POSIX shell and any directory.
    pub fn curls(&self) -> Result<[String; 5], Failure> {
        let here = std::env::current_dir().map_err(|e| Failure::of(format!("no current directory: {e}")))?;
        let env = here.join(ENV_FILE).display().to_string().replace('\'', r"'\''");
        let (performance, coupon) = (&self.performance, &self.spare_coupon);
        let store = self.stores.first().map_or("", |(id, _)| id);
        let paid_at = SystemClock.wall();
        let json = "-H 'content-type: application/json'";
        let lines = [
            format!(r#"curl -s "$BASE/v1/performances/{performance}/seats?section=A" | head -c 600"#),
            format!(r#"curl -sN --max-time 20 "$BASE/v1/performances/{performance}/seats/events""#),
            format!(
                r#"curl -s {json} -H "authorization: Bearer $MEMBER" -H "idempotency-key: $(date +%s)" -d '{{"seats":["B-10-11","B-10-12"]}}' "$BASE/v1/performances/{performance}/orders""#
            ),
            format!(r#"curl -s -X POST -H "authorization: Bearer $MEMBER" "$BASE/v1/coupons/{coupon}/issue""#),
            format!(
                r#"curl -s {json} -H "authorization: Bearer $POS" -d '{{"payment_id":"mine-1","amount":4500,"currency":"KRW","method":"card","paid_at":"{paid_at}"}}' "$BASE/v1/stores/{store}/payments""#
            ),
        ];
        Ok(lines.map(|line| format!(". '{env}'; {line}")))
    }
}
