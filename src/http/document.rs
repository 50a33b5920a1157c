//! What does the document say about every route alike? Tokens, keys and positions, which no handler mentions by itself.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

use super::extract;

/// Routes that refuse a command without a key.
const KEYED: [&str; 2] = ["/v1/performances/{id}/orders", "/v1/orders/{id}/cancel"];

pub fn complete(document: &mut OpenApi) {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = document.components.take().map_or_else(ComponentsBuilder::new, Into::into);
    document.components = Some(components.security_scheme("bearer", bearer).build());
    // Public routes do without; who may use which of the others, their answers say.
    let none: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::default(), SecurityRequirement::new("bearer", none)]);
    // A parameter that takes the rest of the path is written with a star in routes, and without one in documents.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for (path, item) in &mut document.paths.paths {
        let all = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete, &mut item.put];
        for operation in all.into_iter().flatten().filter(|_| path.starts_with("/v1/")) {
            let answers = &mut operation.responses.responses;
            answers.entry("429".to_owned()).or_insert_with(|| RefOr::T(limited()));
        }
        if let Some(reading) = item.get.as_mut().filter(|_| extract::takes_min_position(path)) {
            add(reading, min_position());
        }
        if let Some(command) = item.post.as_mut() {
            add(command, idempotency_key(KEYED.contains(&path.as_str())));
        }
        for command in [item.patch.as_mut(), item.delete.as_mut()].into_iter().flatten() {
            add(command, idempotency_key(false));
        }
    }
}

fn add(operation: &mut Operation, parameter: Parameter) {
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
}

fn limited() -> Response {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description(
            "The account or the address asks too often, or has too many streams open. Try again after Retry-After.",
        )
        .content("application/problem+json", problem)
        .build()
}

fn min_position() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String);
    ParameterBuilder::new()
        .name(extract::MIN_POSITION)
        .parameter_in(ParameterIn::Query)
        .description(Some("Wait, 2 s at the most, until the log has reached this position of an earlier answer."))
        .schema(Some(ArrayBuilder::new().items(text)))
        .build()
}

fn idempotency_key(required: bool) -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(if required { Required::True } else { Required::False })
        .description(Some("The same key with the same body has one effect and one answer."))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_document_says_what_every_route_takes() {
        let mut document = super::super::table().into_openapi();
        complete(&mut document);
        let document = serde_json::to_value(document).expect("a document");
        let names = |path: &str, method: &str| -> Vec<(Value, Value)> {
            let parameters = document["paths"][path][method]["parameters"].as_array().expect("parameters");
            parameters.iter().map(|p| (p["name"].clone(), p["required"].clone())).collect()
        };
        assert!(names("/v1/orders/{id}", "get").contains(&(json!("min_position"), json!(false))));
        assert!(!names("/v1/orders/{id}/events", "get").iter().any(|(name, _)| name == "min_position"));
        assert!(names(KEYED[0], "post").contains(&(json!("Idempotency-Key"), json!(true))));
        assert!(names("/v1/stores", "post").contains(&(json!("Idempotency-Key"), json!(false))));
        assert!(names("/v1/performances/{id}", "patch").contains(&(json!("Idempotency-Key"), json!(false))));
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
        let limited = &document["paths"]["/v1/stores"]["post"]["responses"]["429"]["content"];
        assert!(limited["application/problem+json"]["schema"]["$ref"].is_string(), "{limited}");
        assert!(document["paths"]["/livez"]["get"]["responses"]["429"].is_null(), "what is never limited");
        assert!(document["components"]["schemas"]["Order"].is_object(), "what was there stays");
    }
}
