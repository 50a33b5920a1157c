"""Do streams begin and refuse as the document says? They have no end, so schemathesis, which waits for one, cannot try them.

Usage: streams.py BASE. What the frames say and how they resume has tests of its own; here it is status, kind and headers.
"""

import json
import os
import sys
import urllib.error
import urllib.request

BASE = sys.argv[1]
with open(os.environ["CONTRACT_KNOWN"], encoding="utf-8") as file:
    KNOWN = json.load(file)
# The thing to watch, and who may: by the beginning of the path.
WATCHED = {
    "/v1/performances/": ("performances", None), "/v1/orders/": ("orders", "MEMBER"),
    "/v1/coupon-tasks/": ("tasks", "MEMBER"), "/v1/stores/": ("stores", "DISPLAY"), "/v1/rankings/": (None, None),
}


def look(path, token=None, **headers):
    """Status, headers and the beginning of the body."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(BASE + path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, answer.headers, answer.readline().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


def judge(route, said, answer, expected):
    """Complains about an answer that is not the expected one, or not in the document."""
    status, headers, body = answer
    described = said["responses"].get(str(status))
    wrong = []
    if status != expected or described is None:
        wrong.append(f"status {status}, expected {expected}, documented {sorted(said['responses'])}")
    elif headers.get("content-type") not in described.get("content", {}):
        wrong.append(f"{headers.get('content-type')} is not documented for {status}")
    elif status >= 400 and json.loads(body)["code"] not in described["x-codes"]:
        wrong.append(f"{json.loads(body)['code']} is not listed under {status}")
    elif status == 200 and not body.startswith(("retry:", ":", "id:", "event:")):
        wrong.append(f"begins with {body!r}")
    if not headers.get("x-request-id"):
        wrong.append("no X-Request-Id")
    for line in wrong:
        print(f"[contract] GET {route}: {line}", file=sys.stderr)
    return not wrong


def main():
    with urllib.request.urlopen(BASE + "/openapi.json", timeout=15) as answer:
        paths = json.load(answer)["paths"]
    tried, good = 0, True
    for route, item in paths.items():
        if not route.endswith("/events"):
            continue
        kind, caller = next(value for start, value in WATCHED.items() if route.startswith(start))
        path = route.replace("{id}", KNOWN[kind][0]) if kind else route
        needs = [one["name"] for one in item["get"]["parameters"] if one["required"] and one["in"] == "query"]
        query = "&".join(f"{name}=2026-11-21" for name in needs)
        token = os.environ[caller] if caller else None
        cases = [
            (look(f"{path}?{query}", token), 200),
            (look(f"{path}?{query}&nothing=1", token), 400),
            (look(f"{path}?{query}&heartbeat=x", token), 400),
        ]
        if "{id}" in route:
            cases.append((look(route.replace("{id}", "nothing"), token), 404))
            cases.append((look(path, token, Last_Event_ID="x"), 400))
        if caller:
            cases.append((look(path), 401))
            cases.append((look(f"{path}?ticket=x"), 401))
        for answer, expected in cases:
            tried += 1
            good = judge(route, item["get"], answer, expected) and good
    print(f"[contract] {tried} requests for streams", file=sys.stderr)
    sys.exit(0 if good and tried else 1)


main()
