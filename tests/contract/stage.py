"""What is there to find? A sale in every state, made through the public API, and who may look at it.

Usage: stage.py BASE DATA OUT; the tokens come in the environment. Writes the ids of everything that exists to OUT, a JSON
file that `hooks.py` reads, and the store's own tokens to OUT.env, for the shell.
"""

import itertools
import json
import os
import pathlib
import re
import sys
import time
import urllib.error
import urllib.request

BASE, DATA, OUT = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
MEMBER, SELLER, ADMIN = (os.environ[name] for name in ("MEMBER", "SELLER", "ADMIN"))
OPEN, FAR = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
PASSWORD = "a walnut that hums at noon"
numbers = itertools.count(1)


def send(method, path, token=None, body=None):
    """The status and body of one request. Commands carry a key."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"stage-{next(numbers)}"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else {}
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or "{}")


def post(path, token, body, *statuses):
    """The answer to a command, which must come with one of these statuses."""
    status, answer = send("POST", path, token, body)
    if status not in (statuses or (200, 201, 202, 204)):
        sys.exit(f"[stage] POST {path}: {status} {answer}")
    return answer


def until(what, look):
    """What `look` finds, once it finds something."""
    for _ in range(200):
        found = look()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"[stage] {what} did not come about")


def performance(show, venue, **terms):
    body = {
        "show_id": show, "venue_id": venue, "starts_at": FAR, "sale_opens_at": OPEN, "currency": "KRW",
        "sale_closes_at": "2098-12-31T00:00:00Z", "prices": {"VIP": 150000, "R": 90000}, "hold_seconds": 3600,
        "max_seats_per_order": 10, **terms,
    }
    return post("/v1/performances", SELLER, body, 201)["performance_id"]


def order(house, seats, **more):
    return post(f"/v1/performances/{house}/orders", MEMBER, {"seats": seats, **more}, 201)


def paid(one, key):
    body = {"payment_key": key, "amount": one["amount"]} if one["amount"] else {"amount": 0}
    return post(f"/v1/orders/{one['order_id']}/payment", MEMBER, body, 200, 202, 402)


def mailed_code(address):
    """The eight digits of the newest mail to this address."""
    def look():
        letters = sorted((DATA / "mail").glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for letter in letters:
            text = letter.read_text(errors="replace")
            found = re.search(r"^\s*(\d{8}|\d{4} \d{4})\s*$", text, re.MULTILINE) or re.search(r"\b(\d{8})\b", text)
            if address in text and found:
                return found.group(1).replace(" ", "")
        return None
    return until("a mail with a code", look)


def account(address):
    """The id and the token of somebody who signed up."""
    made = post("/v1/accounts", None, {"email": address, "password": PASSWORD, "nickname": "계약"}, 201)
    post("/v1/accounts/verify", None, {"email": address, "code": mailed_code(address)}, 204)
    session = post("/v1/auth/login", None, {"email": address, "password": PASSWORD}, 200)
    return made["account_id"], session["access_token"]


def main():
    rows = [{"row": str(row), "seats": 50} for row in range(1, 9)]
    venue = post("/v1/venues", SELLER, {"name": "잠실 주경기장", "sections": [
        {"section": "A", "grade": "VIP", "rows": rows}, {"section": "B", "grade": "R", "rows": rows}]}, 201)["venue_id"]
    show = post("/v1/shows", SELLER, {"title": "봄 콘서트", "category": "concert", "description": "하루만",
        "place": "서울", "starts_on": "2099-01-01", "ends_on": "2099-01-02"}, 201)["show_id"]
    house = performance(show, venue)
    doomed = [performance(show, venue) for _ in range(4)]
    small = post("/v1/venues", SELLER, {"name": "소극장", "sections": [
        {"section": "A", "grade": "VIP", "rows": [{"row": "1", "seats": ["가"]}]}]}, 201)["venue_id"]
    sold_out = performance(show, small, max_seats_per_member=1, prices={"VIP": 1})
    later = performance(show, venue, sale_opens_at="2098-01-01T00:00:00Z")

    coupon = {"name": "선착순", "stock": 1000, "opens_at": OPEN, "closes_at": FAR, "valid_until": FAR,
        "discount": {"kind": "percent", "value": 10}}
    coupons = [post("/v1/coupons", SELLER, {**coupon, **more}, 201)["coupon_id"] for more in (
        {}, {"per_member": 100, "discount": {"kind": "amount", "value": 5000, "currency": "KRW"}},
        {"stock": 1}, {"opens_at": "2098-01-01T00:00:00Z"})]
    tasks = [post(f"/v1/coupons/{one}/issue", MEMBER, {}, 201)["task_id"] for one in coupons[:3]]

    orders = [order(house, [f"A-1-{n}", f"B-1-{n}"]) for n in range(1, 21)]
    unpaid = [order(house, [f"A-2-{n}", f"B-2-{n}"]) for n in range(2, 32)]
    orders += [order(house, ["A-2-1"], coupon_task_id=tasks[0], reference="mine 1"), order(sold_out, ["A-1-가"])]
    for number, one in enumerate(orders[:8] + orders[-2:]):
        paid(one, f"pk_contract{number}")
    paid(orders[8], "decline_contract8")
    for one in orders[9:11] + orders[:2]:
        post(f"/v1/orders/{one['order_id']}/cancel", MEMBER, {}, 200, 202)
    tickets = until("tickets", lambda: send("GET", "/v1/tickets", MEMBER)[1].get("items"))
    tickets = [one["ticket_id"] for one in tickets]
    post(f"/v1/tickets/{tickets[0]}/check-in", SELLER, {}, 200)
    post(f"/v1/performances/{house}/seats/block", SELLER, {"seats": ["A-8-1", "A-8-2"], "reason": "camera"}, 200)

    stores = [post("/v1/stores", SELLER, {"name": f"{n}호점"}, 201)["store_id"] for n in (1, 2)]
    given = {role: post(f"/v1/stores/{stores[0]}/tokens", SELLER, {"role": role, "name": f"{role} 1"}, 201)
        for role in ("pos", "display")}
    spare = [post(f"/v1/stores/{stores[0]}/tokens", SELLER, {"role": "pos", "name": f"spare {n}"}, 201) for n in range(5)]
    _, person = account("contract@example.com")
    applicant, token = account("applicant@example.com")
    post("/v1/sellers/apply", token, None, 200)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    payments = [f"receipt-{n}" for n in range(12)]
    for number, payment in enumerate(payments):
        body = {"payment_id": payment, "amount": 1000 * (number + 1), "currency": "KRW", "method": "card",
            "paid_at": now, "terminal_id": "T1" if number % 2 else None}
        post(f"/v1/stores/{stores[0]}/payments", given["pos"]["token"], body, 201)
    post(f"/v1/stores/{stores[0]}/payments/{payments[0]}/cancel", given["pos"]["token"], {}, 201)
    post(f"/v1/stores/{stores[0]}/payments/{payments[1]}/cancel", given["pos"]["token"], {"amount": 500}, 201)

    known = {
        "venues": [venue, small], "shows": [show], "performances": [house, sold_out, later], "doomed": doomed,
        "coupons": coupons, "tasks": tasks, "orders": [one["order_id"] for one in orders], "tickets": tickets,
        "unpaid": [one["order_id"] for one in unpaid], "amounts": [240000], "on_sale": 4 * [house] + [later, sold_out],
        "codes": ["not-found", "seat-unavailable", "invalid-value"], "stores": stores[:1], "tokens": [one["token_id"] for one in spare], "payments": payments,
        "payment_keys": [f"{kind}_contract_{n}" for kind in ("pk", "decline") for n in range(20)],
        "seats": [f"{section}-{row}-{n}" for section in "AB" for row in range(3, 8) for n in range(1, 51)],
        "accounts": [applicant],
        "streams": [f"order/{orders[0]['order_id']}", f"performance/{house}", f"seat/{house}/A-1-1"],
    }
    OUT.write_text(json.dumps(known, ensure_ascii=False))
    tokens = {"POS": given["pos"]["token"], "DISPLAY": given["display"]["token"], "ACCOUNT": person}
    env = OUT.with_suffix(".env")
    env.touch(mode=0o600)
    env.write_text("".join(f"{name}={token}\n" for name, token in tokens.items()))


main()
