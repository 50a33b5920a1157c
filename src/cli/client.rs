//! How do verbs that play a whole sale talk to a node? Plain HTTP with a token, as any shop front does. Convenient rather
//! than cheap: what measures has a client of its own in `bench/line.rs`.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::cli::failure::Failure;

/// Cheap to clone.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// What came back: every status is an answer, only a broken connection is an error.
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    #[must_use]
    pub fn text(&self, member: &str) -> &str {
        self.body.get(member).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Client {
    pub fn new(base: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            // A proxy of the environment has no business between a node and its own crowd.
            .no_proxy()
            // Nor have certificates: there is no TLS on the loopback address.
            .tls_certs_only([])
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|e| Failure::of(format!("no HTTP client: {e}")))?;
        Ok(Self { base: base.to_owned(), http })
    }

    pub async fn post(&self, path: &str, token: &str, key: Option<&str>, body: &Value) -> Result<Answer, Failure> {
        let mut request = self.request(Method::POST, path).bearer_auth(token).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.timeout(Duration::from_secs(30)).send().await.map_err(|e| broken(path, &e))?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(|e| broken(path, &e))?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    pub async fn get(&self, path: &str, token: &str) -> Result<Answer, Failure> {
        let request = self.request(Method::GET, path).bearer_auth(token).timeout(Duration::from_secs(30));
        let response = request.send().await.map_err(|e| broken(path, &e))?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(|e| broken(path, &e))?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    /// A POST that must create something; anything else ends the verb with the problem's text.
    pub async fn create(&self, path: &str, token: &str, body: &Value) -> Result<Answer, Failure> {
        let answer = self.post(path, token, None, body).await?;
        match answer.status {
            200 | 201 => Ok(answer),
            status => {
                Err(Failure::of(format!("POST {path}: {status} {}: {}", answer.text("code"), answer.text("detail"))))
            }
        }
    }

    /// Opens a stream of events.
    pub async fn stream(&self, path: &str) -> Result<reqwest::Response, Failure> {
        self.request(Method::GET, path).send().await.map_err(|e| broken(path, &e))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }
}

fn broken(path: &str, error: &reqwest::Error) -> Failure {
    Failure::of(format!("{path}: {error}"))
}
