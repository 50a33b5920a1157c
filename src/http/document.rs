//! What does the document say? Handlers name their route, its bodies and what comes of it; all that follows from the form of a
//! route is added here, alike for every one: who may use it, what it takes, how it refuses, which headers answers have.
//!
//! `scripts/contract` holds the whole of it against a running node.

pub mod access;
mod answers;
mod examples;
mod inputs;
mod schemas;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::extract;

const ABOUT: &str = "A server for on-sales: seats, first-come coupons and store payment feeds.\n\n\
    Errors are problems (RFC 9457). `x-codes` lists the codes that can come with a status; `GET /problems/{code}` explains \
    each, and further ones may be added. Any path answers 405 `method-not-allowed` with `Allow` to a method that it does \
    not have, and 404 `not-found` stands for what does not exist as well as for what is somebody else's.\n\n\
    Ids are opaque. Times are RFC 3339 in UTC with milliseconds; any offset is understood. Money is an integer of minor \
    units below 2^53. Members, statuses, codes and events may be added; none is renamed.";

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    None,
    /// Without members, and may be left out.
    Nothing,
    /// Of a foreign form.
    Raw,
    Members,
}

/// Bodies that may be left out.
const MAY_BE_ABSENT: [&str; 5] = ["Refresh", "CancelOrder", "CancelPayment", "Nothing", "CheckIn"];
const WITHOUT_MEMBERS: [&str; 2] = ["Nothing", "CheckIn"];

/// One route, as far as its form goes.
#[derive(Clone, Debug)]
pub struct Operation {
    method: String,
    /// As the router has it.
    template: String,
    input: Input,
}

impl Operation {
    fn new(method: &str, template: &str, written: &Value) -> Self {
        let input = match (schema_name(written), written.get("requestBody")) {
            (Some(name), _) if WITHOUT_MEMBERS.contains(&name) => Input::Nothing,
            (Some(_), _) => Input::Members,
            (None, Some(_)) => Input::Raw,
            (None, None) => Input::None,
        };
        Self { method: method.to_uppercase(), template: template.to_owned(), input }
    }

    fn reads(&self) -> bool {
        self.method == "GET"
    }

    fn body(&self) -> Input {
        self.input
    }

    fn is_stream(&self) -> bool {
        self.template.ends_with("/events")
    }

    fn takes_keys(&self) -> bool {
        !self.reads() && self.input != Input::Raw
    }

    /// Placing, paying and cancelling orders.
    fn needs_key(&self) -> bool {
        let keyed = ["/v1/performances/{id}/orders", "/v1/orders/{id}/payment", "/v1/orders/{id}/cancel"];
        self.method == "POST" && keyed.contains(&self.template.as_str())
    }

    fn takes_preferences(&self) -> bool {
        let patient = ["/v1/performances/{id}/orders", "/v1/orders/{id}/payment", "/v1/coupons/{id}/issue"];
        self.method == "POST" && patient.contains(&self.template.as_str())
    }

    fn takes_parameters(&self) -> bool {
        let positions = extract::takes_min_position(&self.template);
        self.reads() && (positions || !extract::taken_params(&self.template).is_empty())
    }

    fn has_etag(&self) -> bool {
        self.reads() && ["/v1/performances/{id}/seats", "/onsale.js"].contains(&self.template.as_str())
    }

    fn path_parameters(&self) -> impl Iterator<Item = &str> {
        self.template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
            // One that takes the rest of the path is written with a star in routes, and without one in documents.
            name.trim_start_matches('*')
        })
    }
}

/// The name of the schema of a request's body.
fn schema_name(written: &Value) -> Option<&str> {
    let content = written.get("requestBody")?.get("content")?.get("application/json")?;
    content.get("schema")?.get("$ref")?.as_str()?.rsplit('/').next()
}

/// The whole document.
pub fn written(document: OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"]["description"] = ABOUT.into();
    // Each route says for itself who may use it.
    document["security"] = json!([]);
    let paths = std::mem::take(&mut document["paths"]);
    let Value::Object(paths) = paths else { return document };
    let paths = paths.into_iter().map(|(template, mut item)| {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(&Operation::new(method, &template, operation), operation);
        }
        (template.replace("{*", "{"), item)
    });
    document["paths"] = Value::Object(paths.collect());
    let components = &mut document["components"];
    components["securitySchemes"] = security_schemes();
    components["headers"] = answers::header_components();
    if let Some(schemas) = components["schemas"].as_object_mut() {
        schemas::complete(schemas);
        examples::put(schemas);
    }
    document
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token, of one of the roles that a route names.",
        },
        "ticket": {
            "type": "apiKey", "in": "query", "name": "ticket",
            "description": "For streams in browsers, which cannot send a token: from POST /v1/stream-tickets.",
        },
    })
}

fn complete(operation: &Operation, written: &mut Value) {
    let parameters = written["parameters"].as_array().cloned().unwrap_or_default();
    let parameters = inputs::parameters(operation, &parameters);
    if let Some(written) = written.as_object_mut() {
        written.remove("parameters");
        if !parameters.is_empty() {
            written.insert("parameters".to_owned(), parameters.into());
        }
    }
    let absent = schema_name(written).is_some_and(|name| MAY_BE_ABSENT.contains(&name));
    if operation.input != Input::None {
        written["requestBody"]["required"] = (!absent && operation.input != Input::Raw).into();
    }
    written["security"] = security(operation);
    let mut responses: Map<String, Value> = Map::new();
    for (status, mut answer) in written["responses"].as_object().cloned().unwrap_or_default() {
        // What went well, and a node that is not ready, which says why in its own words.
        if status.starts_with(['2', '3']) || operation.template == "/readyz" {
            answer["headers"] = answers::headers(operation, &status).into();
            responses.insert(status, answer);
        }
    }
    for (status, refusal) in answers::refusals(operation) {
        responses.entry(status).or_insert(refusal);
    }
    written["responses"] = responses.into();
}

fn security(operation: &Operation) -> Value {
    let bearer = json!({"bearer": operation.roles()});
    if operation.may_be_told() {
        json!([{}, bearer])
    } else if operation.takes_tickets() {
        json!([bearer, {"ticket": []}])
    } else if operation.asks_who() {
        json!([bearer])
    } else {
        json!([])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every route.
    pub fn operations() -> Vec<Operation> {
        let document = serde_json::to_value(super::super::table().into_openapi()).expect("a document");
        let mut all = Vec::new();
        for (template, item) in document["paths"].as_object().expect("paths") {
            for (method, written) in item.as_object().expect("routes") {
                all.push(Operation::new(method, template, written));
            }
        }
        all
    }

    fn document() -> Value {
        written(super::super::table().into_openapi())
    }

    #[test]
    fn every_status_is_named_and_every_refusal_is_a_problem() {
        let document = document();
        for (path, item) in document["paths"].as_object().expect("paths") {
            assert!(!path.contains('*'), "{path}");
            for (method, route) in item.as_object().expect("routes") {
                for (status, answer) in route["responses"].as_object().expect("answers") {
                    let number: u16 = status.parse().unwrap_or_else(|_| panic!("{method} {path}: {status}"));
                    assert!(answer["headers"]["X-Request-Id"].is_object(), "{method} {path}: {status}");
                    if number < 400 || path == "/readyz" {
                        continue;
                    }
                    let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/Problem", "{method} {path}: {status}");
                    assert!(answer["x-codes"].as_array().is_some_and(|codes| !codes.is_empty()), "{method} {path}");
                }
            }
        }
        assert_eq!(document["components"]["schemas"]["Problem"]["type"], "object");
    }

    #[test]
    fn who_may_use_a_route_is_said_by_role() {
        let document = document();
        let security = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
        assert_eq!(security("/v1/venues", "post"), json!([{"bearer": ["seller", "admin"]}]));
        assert_eq!(security("/v1/venues", "get"), json!([]));
        assert_eq!(security("/v1/auth/logout", "post")[0], json!({}), "a refresh token will do");
        assert_eq!(security("/v1/stores/{id}/payments/events", "get")[1], json!({"ticket": []}));
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }

    #[test]
    fn bodies_are_asked_for_where_there_must_be_one() {
        let document = document();
        let required = |path: &str| document["paths"][path]["post"]["requestBody"]["required"].clone();
        assert_eq!((required("/v1/stores"), required("/v1/coupons/{id}/issue")), (json!(true), json!(false)));
        let answers = &document["paths"]["/v1/stores"]["post"]["responses"];
        assert_eq!(answers["201"]["headers"]["Location"]["$ref"], "#/components/headers/Location");
        assert!(answers["415"].is_object() && answers["413"].is_object());
    }
}
