"""What does schemathesis not know by itself? Which things exist, and what our problems look like.

Ids are opaque, and made-up ones name nothing: most of the time, texts that stand where an id belongs are replaced by the id
of something that exists. What is meant to be wrong stays as it is.
"""

import itertools
import json
import os
import re
import zlib

import schemathesis
from schemathesis.core.parameters import ParameterLocation

with open(os.environ["CONTRACT_KNOWN"], encoding="utf-8") as file:
    KNOWN = json.load(file)

NUMBERS = itertools.count(1)

# Which kind of thing the id of a path is, by the path.
NOUNS = [
    (r"/v1/performances/\{id\}/(cancel|cancellation|pause)$", "doomed"),
    (r"/v1/performances/\{id\}/orders$", "on_sale"),
    (r"/v1/orders/\{id\}/payment$", "unpaid"),
    (r"/v1/performances/", "performances"),
    (r"/v1/venues/", "venues"),
    (r"/v1/shows/", "shows"),
    (r"/v1/orders/|/v1/admin/review/", "orders"),
    (r"/v1/tickets/", "tickets"),
    (r"/v1/coupons/", "coupons"),
    (r"/v1/coupon-tasks/", "tasks"),
    (r"/v1/stores/", "stores"),
    (r"/v1/admin/sellers/", "accounts"),
]
# By the name of a parameter or member.
NAMES = {
    "payment_id": "payments", "token_id": "tokens", "stream": "streams", "show_id": "shows", "venue_id": "venues",
    "performance_id": "performances", "order_id": "orders", "coupon_task_id": "tasks", "tickets": "tickets",
    "shows": "shows", "payment_key": "payment_keys",
}


def pick(kind, value):
    """One of the known, and sometimes the generated one; always the same for the same value."""
    known = KNOWN.get(kind)
    if not known or not isinstance(value, str) or not value:
        return value
    dice = zlib.crc32(value.encode("utf-8", "surrogatepass"))
    return known[dice // 8 % len(known)] if dice % 8 else value


def meant(case, location):
    """Is this part of the request meant to be right?"""
    part = case.meta.components.get(location) if case.meta else None
    return part is not None and part.mode.is_positive


def reached(value):
    """Positions that the log has come to: a reading waits 2 s for others, and then answers 503, as it must."""
    if isinstance(value, list):
        return [reached(one) for one in value]
    return "0:1" if isinstance(value, str) and re.fullmatch("[0-9]{1,5}:[0-9]{1,20}", value) else value


def in_path(path, name, value):
    if name == "id":
        return next((pick(kind, value) for form, kind in NOUNS if re.match(form, path)), value)
    return pick("codes" if name == "code" else NAMES.get(name), value)


def in_body(path, body):
    """The body with what exists in it. What a payment's source or a seller names anew stays."""
    for name, value in body.items():
        kind = NAMES.get(name)
        if name == "seats" and path.startswith("/v1/performances/") and isinstance(value, list):
            body[name] = list(dict.fromkeys(pick("seats", seat) for seat in value))
        elif kind and name != "payment_id" and isinstance(value, list):
            body[name] = list(dict.fromkeys(pick(kind, one) for one in value))
        elif kind and name != "payment_id":
            body[name] = pick(kind, value)
    if path == "/v1/orders/{id}/payment" and "amount" in body:
        given = str(body["amount"])
        sum_ = pick("amounts", given)
        body["amount"] = body["amount"] if sum_ == given else sum_
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    if case.path_parameters and meant(case, ParameterLocation.PATH):
        for name, value in list(case.path_parameters.items()):
            case.path_parameters[name] = in_path(path, name, value)
    if isinstance(case.query, dict):
        if meant(case, ParameterLocation.QUERY):
            case.query = {name: pick(NAMES.get(name), value) for name, value in case.query.items()}
        case.query = {name: reached(value) if name == "min_position" else value for name, value in case.query.items()}
    key = (case.headers or {}).get("Idempotency-Key")
    if key and meant(case, ParameterLocation.HEADER) and len(key) < 200 and zlib.crc32(key.encode("utf-8", "replace")) % 8:
        # Short keys come again and again, and would make most commands repetitions of something else.
        case.headers["Idempotency-Key"] = f"{key}-{next(NUMBERS)}"
    if isinstance(case.body, dict) and meant(case, ParameterLocation.BODY):
        case.body = in_body(path, dict(case.body))


@schemathesis.check
def documented_problem(ctx, response, case):
    """Every refusal is a problem whose code the document lists under this status, with the members of RFC 9457."""
    if response.status_code < 400 or case.method.upper() == "HEAD":
        return
    kind = (response.headers.get("content-type") or [""])[0]
    if case.operation.path == "/readyz":
        return
    assert kind == "application/problem+json", f"a refusal of kind {kind}"
    problem = json.loads(response.content)
    code = problem["code"]
    assert problem["type"] == f"urn:onsale:problem:{code}", "the type names another code"
    assert problem["status"] == response.status_code, "the body has another status"
    assert [problem["request_id"]] == response.headers.get("x-request-id"), "another request id in the header"
    listed = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("x-codes")
    if listed is not None:
        assert code in listed, f"{code} is not listed under {response.status_code}"
