//! A client as a shop front would write it: JSON in, JSON out, status and headers at hand.

use reqwest::{Method, StatusCode};
use serde_json::Value;

#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    /// `Null` where the answer is not JSON.
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// A problem with this status and stable code, in the shape of RFC 9457.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text);
        assert_eq!(answer.body["code"], code, "{}", answer.text);
        assert_eq!(answer.body["type"], format!("urn:onsale:problem:{code}"));
        assert_eq!(answer.body["status"], status);
        assert!(answer.body["request_id"].is_string() && answer.body["title"].is_string(), "{}", answer.text);
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub fn str(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {}", self.text)).to_owned()
    }
}

impl Client {
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
        Self { base: base.to_owned(), http, token: None, headers: Vec::new() }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name, value.to_owned()));
        other
    }

    /// That person on a connection of this client's own.
    pub fn as_of(&self, other: &Self) -> Self {
        Self { token: other.token.clone(), ..self.clone() }
    }

    /// The same person at another node.
    pub fn elsewhere(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    pub fn key(&self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }

    /// `None` when the connection ended before the answer.
    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> Option<Answer> {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.ok()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Some(Answer { status, headers, text, body })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.try_send(self.request(Method::GET, path)).await.unwrap_or_else(|| panic!("no answer to GET {path}"))
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).await.unwrap_or_else(|| panic!("no answer to POST {path}"))
    }

    pub async fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        self.try_send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        let sent = self.try_send(self.request(Method::PATCH, path).json(body)).await;
        sent.unwrap_or_else(|| panic!("no answer to PATCH {path}"))
    }

    /// A body as bytes, with the content type of JSON.
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json").body(body);
        self.try_send(request).await.unwrap_or_else(|| panic!("no answer to POST {path}"))
    }
}
