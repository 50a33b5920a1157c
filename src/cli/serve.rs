//! `onsale serve`: runs a node until SIGTERM or Ctrl-C. How it is put together is `app.rs`'s business.

use super::failure::Failure;
use super::{Global, output};
use crate::app;
use crate::config::Flag;

#[derive(clap::Args, Debug)]
pub struct Serve {
    /// Address of the API [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address for /metrics alone.
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,
    /// Only read: GETs and streams, from a Postgres log that another node writes.
    #[arg(long)]
    follow: bool,
}

impl Serve {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut flags = Vec::new();
        let mut add = |name, key, value: Option<String>| {
            flags.extend(value.map(|value| Flag { name, section: "server", key, value }));
        };
        add("listen", "listen", self.listen);
        add("admin-listen", "admin_listen", self.admin_listen);
        add("follow", "follow", self.follow.then(|| "true".to_owned()));
        let config = global.load(flags)?;
        let ready = |address| {
            // Nobody reads our stdout: the node runs all the same.
            let _unread = output::line(&format!("listening on http://{address}"));
        };
        Ok(app::run(&config, ready).await?)
    }
}
