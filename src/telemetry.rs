//! Stub: metric names.
pub const LANE_BATCH_EVENTS: &str = "onsale_lane_batch_events";
pub const LANE_COMMIT_SECONDS: &str = "onsale_lane_commit_seconds";
pub const UNKNOWN_OUTCOMES: &str = "onsale_unknown_outcomes_total";
pub const GENERATIONS_RAISED: &str = "onsale_generations_raised_total";
pub const APPENDED_EVENTS: &str = "onsale_appended_events_total";
pub const ACTORS_AWAKE: &str = "onsale_actors_awake";
