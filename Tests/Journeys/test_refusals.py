"""Every refusal names its rule and what to do next, over HTTP and over a socket, with one code for one rule."""

import asyncio
import json
import uuid

import aiohttp

from cluster import ROOT, Cluster
from fans import ANSWER_SECONDS, Fan, everybody_leaves
from test_edges import raw

PROBLEM = json.loads((ROOT / "Web/openapi.json").read_text())["components"]["schemas"]["Problem"]
CODES = set(PROBLEM["properties"]["code"]["enum"])
# Other journeys, and the tests of what makes the answer, show these: a provider, a throttle, a race, a store that is away.
SHOWN_ELSEWHERE = {
    "REQUEST_TIMEOUT", "ALREADY_SIGNED_IN", "REFRESH_TOKEN_REUSED", "GROUP_REQUIRED", "REDIRECT_NOT_ALLOWED",
    "INVALID_STATE", "INVALID_GRANT", "PROVIDER_UNAVAILABLE", "IDEMPOTENCY_KEY_IN_FLIGHT", "TOO_MANY_REQUESTS",
    "INTERNAL_ERROR", "UNAVAILABLE", "REBUILDING",
}
JSON = {"Content-Type": "application/json"}


class Refusals:
    """Provokes refusals and remembers what was said with each code."""

    def __init__(self, instance):
        self.instance, self.steps = instance, {}

    def note(self, body, code):
        assert body["code"] == code, body
        assert body["detail"].endswith((".", "?")) and len(body["detail"].split()) > 2, body
        assert body["nextStep"].endswith(".") and body["nextStep"] != body["detail"], body
        # One rule, one way on, wherever it is met.
        assert self.steps.setdefault(code, body["nextStep"]) == body["nextStep"], body
        return body

    async def http(self, code, status, fan, method, path, body=None, headers=None, data=None):
        headers = dict(headers or {})
        if fan is not None:
            headers["Authorization"] = f"Bearer {fan.token}"
        async with aiohttp.ClientSession() as session:
            async with session.request(method, self.instance.url + path, json=body, data=data, headers=headers) as answer:
                problem = await answer.json(content_type="application/problem+json")
                assert (answer.status, problem["status"]) == (status, status), (path, problem)
                assert set(PROBLEM["required"]) <= set(problem)
                assert (status == 422) <= isinstance(problem.get("errors"), list)
                return self.note(problem, code)

    async def socket(self, code, fan, name, data):
        answer = await fan.socket.call(name, data, timeout=ANSWER_SECONDS)
        assert answer["ok"] is False, (name, answer)
        return self.note(answer, code)


async def test_every_refusal_says_which_rule_and_what_to_do():
    with Cluster(PAYMENT_WEBHOOK_SECRET="webhook-secret-of-the-tests") as cluster:
        [one] = cluster.instances
        refusals = Refusals(one)
        cluster.create_user("chief", "admin")
        chief = await Fan().login(one, "chief")
        ann, bob = (Fan(token) for token in cluster.tokens(2))
        await requests(refusals, cluster, chief, ann)
        await identities(refusals, cluster, chief, ann)
        await seats_and_orders(refusals, cluster, chief, ann, bob)
        await sockets(refusals, cluster, ann)
        assert set(refusals.steps) == CODES - SHOWN_ELSEWHERE


async def requests(refusals, cluster, chief, ann):
    event = cluster.create_event()
    lock = "/api/seats/lock"
    await refusals.http("NOT_FOUND", 404, None, "GET", "/api/nothing")
    await refusals.http("METHOD_NOT_ALLOWED", 405, None, "DELETE", "/api/events")
    await refusals.http("MALFORMED_REQUEST", 400, ann, "POST", lock, data=b"{", headers=JSON)
    twice = f'{{"eventId":"{event}","eventId":"{event}","seatIds":["R-1-1"]}}'.encode()
    problem = await refusals.http("MALFORMED_REQUEST", 400, ann, "POST", lock, data=twice, headers=JSON)
    assert "twice" in problem["detail"]
    deep = b"[" * 17 + b"]" * 17
    await refusals.http("MALFORMED_REQUEST", 400, ann, "POST", lock, data=deep, headers=JSON)
    await refusals.http("UNSUPPORTED_MEDIA_TYPE", 415, ann, "POST", lock, data=b"{}", headers={"Content-Type": "a/b"})
    huge = b'{"a":"' + b"x" * 300_000 + b'"}'
    problem = await refusals.http("PAYLOAD_TOO_LARGE", 413, ann, "POST", lock, data=huge, headers=JSON)
    assert problem["limit"] == 256 * 1024 and str(problem["limit"]) in problem["detail"]
    await refusals.http("INVALID", 422, ann, "POST", lock, {"eventId": event, "seatIds": []})
    await refusals.http("INVALID", 422, None, "GET", f"/api/events/{event}/seats?format=xml")
    await refusals.http("INVALID", 422, chief, "POST", f"/api/admin/events/{event}/seats/block", {"seatIds": []})
    await refusals.http("EVENT_NOT_FOUND", 404, None, "GET", f"/api/events/{uuid.uuid4()}")
    _, body = raw(refusals.instance, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 200 + b"\r\n")
    refusals.note(json.loads(body), "HEAD_TOO_LARGE")
    _, body = raw(refusals.instance, b"what is this\r\n\r\n")
    refusals.note(json.loads(body), "MALFORMED_REQUEST")


async def identities(refusals, cluster, chief, ann):
    cluster.create_user("dora")
    dora = await Fan().login(refusals.instance, "dora")
    await refusals.http("AUTHENTICATION_REQUIRED", 401, None, "GET", "/api/auth/me")
    await refusals.http("INVALID_TOKEN", 401, Fan("x.y.z"), "GET", "/api/auth/me")
    wrong = {"user_id": "dora", "password": "not her password"}
    await refusals.http("INVALID_CREDENTIALS", 401, None, "POST", "/api/auth/login", wrong)
    again = {"user_id": "dora", "password": "correct horse battery", "user_name": "D", "email": "d@example.com"}
    await refusals.http("USER_EXISTS", 409, None, "POST", "/api/auth/register", again)
    await refusals.http("FORBIDDEN", 403, ann, "GET", "/api/admin/audit")
    cookie = {"Cookie": f"__Host-holdfast={dora.token}"}
    await refusals.http("CSRF_TOKEN_MISSING", 403, None, "POST", "/api/auth/logout", headers=cookie)
    foreign = cookie | {"Origin": "https://elsewhere.example"}
    await refusals.http("ORIGIN_NOT_ALLOWED", 403, None, "POST", "/api/auth/logout", headers=foreign)
    await dora.http(refusals.instance, "POST", "/api/auth/logout")
    await refusals.http("SESSION_EXPIRED", 401, dora, "GET", "/api/session/me")
    await chief.http(refusals.instance, "PATCH", "/api/admin/users/dora", {"active": False})
    known = {"user_id": "dora", "password": "correct horse battery"}
    await refusals.http("ACCOUNT_DISABLED", 401, None, "POST", "/api/auth/login", known)


async def seats_and_orders(refusals, cluster, chief, ann, bob):
    one = refusals.instance
    rows = [{"name": "A", "rows": 1, "seatsPerRow": 8, "price": 10}]
    sale = {"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 60, "noOrphanSeats": True}
    event = cluster.create_event(sections=rows, sale=sale)
    queued = cluster.create_event(queue=cluster.open_queue())
    scheduled = cluster.create_event(open=False)

    async def lock(code, status, fan, event, *seats):
        return await refusals.http(code, status, fan, "POST", "/api/seats/lock", {"eventId": event, "seatIds": seats})

    problem = await lock("EVENT_NOT_OPEN", 409, ann, scheduled, "R-1-1")
    assert "scheduled" in problem["detail"]
    await lock("NOT_ADMITTED", 403, ann, queued, "R-1-1")
    await lock("SEAT_NOT_FOUND", 404, ann, event, "B-1-1")
    await lock("ORPHAN_SEAT", 422, ann, event, "A-1-2")
    problem = await lock("LIMIT_EXCEEDED", 422, ann, event, *[f"A-1-{number}" for number in range(1, 6)])
    assert problem["limit"] == 4 and "4" in problem["detail"]
    await refusals.http("NOT_HELD", 409, ann, "POST", "/api/seats/extend", {"eventId": event})
    await ann.http(one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["A-1-1", "A-1-2"]})
    assert (await lock("SEAT_UNAVAILABLE", 409, bob, event, "A-1-1"))["unavailable"] == ["A-1-1"]
    for _ in range(2):
        await ann.http(one, "POST", "/api/seats/extend", {"eventId": event})
    problem = await refusals.http("EXTENSION_LIMIT", 409, ann, "POST", "/api/seats/extend", {"eventId": event})
    assert problem["limit"] == 2

    order = {"eventId": event, "seatIds": ["A-1-1"]}
    key = {"Idempotency-Key": "one"}
    await refusals.http("IDEMPOTENCY_KEY_REQUIRED", 400, ann, "POST", "/api/reservations", order)
    problem = await refusals.http("NOT_HELD", 409, bob, "POST", "/api/reservations", order, key)
    assert "A-1-1" in problem["detail"]
    problem = await refusals.http(
        "SEAT_NOT_FOUND", 404, ann, "POST", "/api/reservations", order | {"seatIds": ["B-1-1"]}, key
    )
    assert "B-1-1" in problem["detail"]
    made = await ann.http(one, "POST", "/api/reservations", order, 201, key)
    other = order | {"seatIds": ["A-1-2"]}
    await refusals.http("IDEMPOTENCY_KEY_REUSED", 422, ann, "POST", "/api/reservations", other, key)
    await refusals.http("RESERVATION_NOT_FOUND", 404, bob, "GET", f"/api/reservations/{made['reservationId']}")
    await refusals.http("EVENT_HAS_ORDERS", 409, chief, "DELETE", f"/api/admin/events/{event}")
    stale = {"If-Match": '"999"'}
    await refusals.http("EVENT_CHANGED", 412, chief, "PATCH", f"/api/admin/events/{event}", {"title": "N"}, stale)

    pay = {"reservationId": made["reservationId"], "paymentMethod": "sandbox-decline"}
    process = "/api/payments/process"
    await refusals.http("PAYMENT_DECLINED", 402, ann, "POST", process, pay)
    await refusals.http("PAYMENT_METHOD_UNKNOWN", 422, ann, "POST", process, pay | {"paymentMethod": "gold"})
    await ann.http(one, "POST", process, pay | {"paymentMethod": "sandbox"})
    cancel = f"/api/reservations/{made['reservationId']}/cancel"
    problem = await refusals.http("RESERVATION_STATE", 409, ann, "POST", cancel)
    assert "paid" in problem["detail"]
    await refusals.http("INVALID_SIGNATURE", 401, None, "POST", "/api/payments/webhook", data=b"{}")

    short = cluster.create_event(sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 2})
    brief = {"eventId": short, "seatIds": ["R-1-1"]}
    await ann.http(one, "POST", "/api/seats/lock", brief)
    late = await ann.http(one, "POST", "/api/reservations", brief, 201, {"Idempotency-Key": "two"})
    path = f"/api/reservations/{late['reservationId']}"
    async with asyncio.timeout(30):
        while (await ann.http(one, "GET", path))["status"] != "expired":
            await asyncio.sleep(0.1)
    pay = {"reservationId": late["reservationId"], "paymentMethod": "sandbox"}
    await refusals.http("RESERVATION_EXPIRED", 409, ann, "POST", process, pay)


async def sockets(refusals, cluster, ann):
    """The codes of HTTP, with the same next step, and the state that a map needs."""
    event = cluster.create_event()
    queued = cluster.create_event(queue=cluster.open_queue())
    closed = cluster.create_event()
    cluster.command("event", "close", closed)
    await ann.connect(refusals.instance)
    choice = {"eventId": event, "seats": ["R-1-1"]}
    await refusals.socket("UNKNOWN_EVENT", ann, "nothing-here", {})
    for name in (
        "join-event", "leave-event", "join-queue", "leave-queue", "join-seat-selection", "leave-seat-selection",
        "seat-selection-changed", "best-available", "hold-extend", "sync",
    ):
        for wrong in ({}, [1], "text", 5, {"eventId": 5}):
            await refusals.socket("INVALID", ann, name, wrong)
        unknown = {"eventId": str(uuid.uuid4()), "seats": [], "quantity": 1, "seq": 0}
        await refusals.socket("EVENT_NOT_FOUND", ann, name, unknown)
    await refusals.socket("NOT_ADMITTED", ann, "join-seat-selection", {"eventId": queued})
    await refusals.socket("NOT_ADMITTED", ann, "seat-selection-changed", choice | {"eventId": queued})
    await refusals.socket("NOT_HELD", ann, "hold-extend", {"eventId": event})
    await refusals.socket("SEAT_NOT_FOUND", ann, "seat-selection-changed", choice | {"seats": ["X-1-1"]})
    too_many = choice | {"seats": [f"R-1-{number}" for number in range(1, 6)]}
    refusal = await refusals.socket("LIMIT_EXCEEDED", ann, "seat-selection-changed", too_many)
    assert refusal["limit"] == 4 and refusal["selectedSeats"] == []
    refusal = await refusals.socket("EVENT_NOT_OPEN", ann, "join-seat-selection", {"eventId": closed})
    assert "closed" in refusal["detail"]
    await refusals.socket("EVENT_NOT_OPEN", ann, "seat-selection-changed", choice | {"eventId": closed})
    await refusals.socket("INVALID_TOKEN", ann, "authenticate", {"token": "junk"})
    await refusals.socket("INVALID", ann, "authenticate", {})
    refused = await Fan("junk").is_refused(refusals.instance)
    assert refused["data"] == {"code": "INVALID_TOKEN"}
    await everybody_leaves(ann)
