//! What stands between the world and the routes? The operator's choices, brought to the edge.

use std::sync::Arc;

use super::StartError;
use crate::config::{self, Config, ConfigError};
use crate::gateways::quotas::Quotas;
use crate::http::{Choices, Cors, Crowd, Forwarding, Guard};
use crate::throttle::{Class, Quota, Shared, Throttle};

/// Who counts for all nodes together, where there can be any.
pub fn shared(config: &Config) -> Result<Option<Quotas>, StartError> {
    let url = &config.redis.url;
    let wanted = url.is_set() && config.limits.on;
    let shared = wanted.then(|| Quotas::new(url.expose(), &config.redis.prefix)).transpose();
    shared.map_err(|wrong| ConfigError::new("redis.url", wrong.to_string()).into())
}

pub fn guard(config: &Config, shared: Option<Quotas>) -> Result<Guard, StartError> {
    let mut quotas = Vec::new();
    for class in Class::ALL {
        let rate = config.limits.rate(class.name())?;
        quotas.push(rate.and_then(|rate| Quota::new(rate.burst, rate.number, rate.period)));
    }
    let shared = shared.map(|shared| Arc::new(shared) as Arc<dyn Shared>);
    let cors = &config.cors;
    Ok(Guard::new(Choices {
        throttle: Throttle::new(|class| quotas[class as usize], shared),
        proxies: config.server.proxies()?,
        forwarding: match config.server.forwarded_header {
            config::Forwarding::XForwardedFor => Forwarding::XForwardedFor,
            config::Forwarding::Forwarded => Forwarding::Forwarded,
        },
        uncounted: config.limits.uncounted()?,
        cors: Cors::new(cors.origins(), cors.credentials, cors.max_age_seconds),
        origin: config.server.origin().map(str::to_owned),
        hsts_seconds: config.server.hsts_seconds,
    }))
}

/// Our own proxies stand for many people.
pub fn crowd(config: &Config) -> Result<Crowd, StartError> {
    let uncounted = vec![config.limits.uncounted()?, config.server.proxies()?];
    Ok(Crowd::new(config.server.max_connections_per_address, uncounted))
}
