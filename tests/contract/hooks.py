"""What does schemathesis not know by itself? Which things exist, and what our problems look like.

Values of the right form are replaced by ids of things that exist, most of the time: otherwise everything is 404. What is
meant to be wrong has another form and stays as it is, so that what was valid is valid still.
"""

import json
import os
import re
import zlib

import schemathesis

with open(os.environ["CONTRACT_KNOWN"], encoding="utf-8") as file:
    KNOWN = json.load(file)

HASH = r"[0-9a-f]{32}"
FORMS = [(re.compile(rf"{prefix}{HASH}"), prefix) for prefix in ("vn_", "sh_", "pf_", "cp_", "st_", "dt_")] + [
    (re.compile(rf"ct_{HASH}_{HASH}"), "ct_"),
    (re.compile(rf"o[0-9]{{1,5}}_{HASH}"), "o"),
    (re.compile(rf"t[0-9]{{1,5}}_{HASH}_[0-9]+"), "tk"),
]
# What ends a whole performance is tried on those that nothing else needs.
ENDS = re.compile(r"^/v1/performances/\{id\}/(cancel|pause)$")


def pick(kind, value):
    """One of the known, and sometimes the generated one; always the same for the same value."""
    dice = zlib.crc32(value.encode("utf-8", "surrogatepass"))
    known = KNOWN.get(kind)
    return known[dice // 8 % len(known)] if known and dice % 8 else value


def known(value, path):
    if not isinstance(value, str):
        return value
    for form, kind in FORMS:
        if form.fullmatch(value):
            return pick("doomed" if kind == "pf_" and ENDS.match(path) else kind, value)
    return value


def replaced(value, path, name=""):
    """The same, with known ids in place of well-formed ones."""
    if isinstance(value, dict):
        return {key: replaced(inner, path, key) for key, inner in value.items()}
    if isinstance(value, list):
        if name == "seats" and path.startswith("/v1/performances/"):
            return [pick("seats", one) if isinstance(one, str) and one.count("-") == 2 else one for one in value]
        return [replaced(inner, path, name) for inner in value]
    return known(value, path)


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    parameters = case.path_parameters
    if parameters:
        for name, value in list(parameters.items()):
            parameters[name] = known(value, path)
        payment = parameters.get("payment_id")
        if isinstance(payment, str) and payment:
            parameters["payment_id"] = pick("payments", payment)
        stream = parameters.get("stream")
        if isinstance(stream, str) and stream:
            parameters["stream"] = pick("streams", stream)
    if isinstance(case.query, dict):
        case.query = {name: known(value, path) for name, value in case.query.items()}
    if isinstance(case.body, dict):
        case.body = replaced(case.body, path)


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
