//! What operators write: the configuration, and the script of the simulated provider.
//!
//! What cannot be used is refused with its place, in one line, and never with the value, which may be a secret.

use onsale::config::{Config, DEFAULTS};
use onsale::gateways::payments::simulator::script::Script;

use super::{Target, deep};

pub const CONFIG: Target = Target { name: "config", seeds: configs, run: config };
pub const SCRIPT: Target = Target { name: "script", seeds: scripts, run: script };

const SECRET: &str = "hunter2-a-secret-of-thirty-two-b";

fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Such a value names a file of this machine, and what is in it is not this input.
    if text.contains("file:") {
        return;
    }
    match Config::from_parts(Some(("onsale.toml", text)), Vec::new(), &[]) {
        Ok(config) => {
            let again = Config::from_parts(Some(("onsale.toml", text)), Vec::new(), &[]);
            assert_eq!(again.as_ref(), Ok(&config), "the same text means the same");
            assert!(!format!("{config:?}").contains(SECRET), "a secret is shown");
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.contains('\n'), "one line: {error}");
            assert!(!error.contains(SECRET), "a secret is shown: {error}");
        }
    }
}

fn configs() -> Vec<Vec<u8>> {
    let secrets = format!(
        "[database]\nurl = \"postgres://onsale:{SECRET}@127.0.0.1/onsale\"\nserver_password = \"{SECRET}\"\n\
         [auth]\naccess_key = \"{SECRET}\"\nticket_key = \"{SECRET}\"\n[psp]\nsecret_key = \"{SECRET}\"\ncall_ms = 3000\n"
    );
    let listen =
        "[server]\nlisten = \"[::1]:0\"\npublic_url = \"https://example.com\"\ntrusted_proxies = \"10.0.0.0/8\"\n";
    let wrong = "server = 1\n[data]\ndir = 0xffff_ffff_ffff_ffff\n[log]\nlevel = 2024-02-30\nformat = nan\n";
    let texts = [DEFAULTS, secrets.as_str(), listen, wrong, ""];
    texts.iter().map(|text| text.as_bytes().to_vec()).chain(deep()).collect()
}

fn script(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Script::parse(text) {
        Ok(script) => {
            let chances = script.random.confirm.values().chain(script.random.cancel.values());
            assert!(chances.chain(script.random.query.values()).all(|chance| (0.0..=1.0).contains(chance)));
            assert!(script.rules.iter().all(|rule| !rule.key.is_empty()), "a rule is about something");
        }
        Err(error) => {
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&error.line), "line {} of {lines}: {error}", error.line);
        }
    }
}

fn scripts() -> Vec<Vec<u8>> {
    let whole = "[webhook]\nurl = \"http://127.0.0.1:1/x\"\n\n[[rule]]\nkey = \"pk_1\"\non = \"confirm\"\nfault = \"error\"\n\
        status = 500\ntimes = 10\ncode = \"NO\"\n[[rule]]\nkey = \"pk_vip*\"\nwebhook = \"late\"\nms = 10\n[[rule]]\n\
        key = \"a\"\nfault = \"late\"\nlooks = 2\n[random]\nseed = 7\nms = 5\nconfirm = { decline = 0.1, done-reset = 0.02 }\n\
        cancel = { done-silence = 0.05 }\nwebhook = { duplicated = 0.1 }\n";
    let wrong = "[random]\nconfirm = { decline = nan, reset = -inf }\n";
    [whole, wrong, ""].iter().map(|text| text.as_bytes().to_vec()).chain(deep()).collect()
}
