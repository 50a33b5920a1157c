"""Was enough reached for the verdict to mean something? Counts the answers of all callers by route and status.

Usage: report.py REPORTS. Fails if a route that could have done its work never did: then only its refusals were tried.
"""

import collections
import json
import pathlib
import sys

# Routes that cannot do their work on this stage, and why.
OUT_OF_REACH = {
    "POST /v1/accounts/verify": "the code is in a mail",
    "POST /v1/auth/password/reset": "the code is in a mail",
    "POST /v1/auth/login": "it would need the password of an account that is there",
    "POST /v1/auth/refresh": "it would need a refresh token, which is good once",
    "POST /v1/auth/logout-all": "it would end the caller that signed up",
    "POST /v1/auth/password/change": "it would end the caller that signed up",
    "POST /v1/auth/totp/enrol": "it would need the caller's password",
    "POST /v1/auth/totp/confirm": "it would need a seed",
    "POST /v1/auth/totp/disable": "it would need a seed",
    "DELETE /v1/accounts/me": "it would end the caller that signed up",
    "POST /v1/admin/parked/{id}/retry": "nothing waits on a healthy node",
    "POST /v1/admin/parked/{id}/skip": "nothing waits on a healthy node",
    "POST /v1/admin/review/{id}/settle": "nothing is under review on a healthy node",
}


def main():
    requests, seen = 0, collections.defaultdict(collections.Counter)
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.ndjson")):
        for line in path.open(encoding="utf-8"):
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder")
            if not recorder:
                continue
            for id_, interaction in recorder.get("interactions", {}).items():
                requests += 1
                method = interaction["request"]["method"]
                case = recorder.get("cases", {}).get(id_, {}).get("value", {})
                status = (interaction.get("response") or {}).get("status_code", 0)
                seen[f"{method} {case.get('path')}"][status] += 1
    routes = {route: counts for route, counts in seen.items() if 200 in counts or len(counts) > 1 or 405 not in counts}
    silent = sorted(route for route, counts in routes.items() if not any(200 <= status < 400 for status in counts))
    statuses = sum(seen.values(), collections.Counter())
    print(f"[contract] {requests} requests to {len(routes)} routes; answers by status:", *(
        f"{status}×{count}" for status, count in sorted(statuses.items())), file=sys.stderr)
    for route in silent:
        if route in OUT_OF_REACH:
            print(f"[contract] only refusals: {route}: {OUT_OF_REACH[route]}", file=sys.stderr)
    missed = [route for route in silent if route not in OUT_OF_REACH]
    for route in missed:
        print(f"[contract] never did its work: {route} {dict(routes[route])}", file=sys.stderr)
    sys.exit(1 if missed else 0)


main()
