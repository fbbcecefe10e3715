"""Administrators: events changed and deleted, a person's path, reports, webhooks, metrics and the doctor."""

import asyncio
import contextlib
import csv
import hashlib
import hmac
import http.server
import io
import json
import re
import subprocess
import threading
import time
import uuid

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster import ROOT, Cluster, until
from fans import Fan, Refused, everybody_leaves

SECRET = "webhook-secret-of-the-tests"


class Receiver:
    """Takes webhooks: refuses the first `failures`, then accepts; remembers all."""

    def __init__(self, failures):
        self.heard, self.failures = [], failures
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.heard.append((dict(self.headers), body))
                refused = len(receiver.heard) <= receiver.failures
                self.send_response(503 if refused else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def of(self, reservation):
        messages = [json.loads(body) for _, body in self.heard]
        return [message for message in messages if message["reservationId"] == reservation]


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver(failures=2)
    yield receiver
    receiver.server.shutdown()


@pytest.fixture(scope="module")
def shop(receiver):
    with Cluster(instances=2, WEBHOOK_URL=receiver.url, PAYMENT_WEBHOOK_SECRET=SECRET) as running:
        running.create_user("chief", "admin")
        yield running


@pytest.fixture
async def chief(shop):
    return await Fan().login(shop.instances[0], "chief")


async def fan_of(shop, name):
    with contextlib.suppress(AssertionError):
        shop.create_user(name)
    return await Fan().login(shop.instances[0], name)


async def order(fan, instance, event, seats):
    await fan.http(instance, "POST", "/api/seats/lock", {"eventId": event, "seatIds": seats})
    return await fan.http(
        instance, "POST", "/api/reservations", {"eventId": event, "seatIds": seats}, 201,
        {"Idempotency-Key": str(uuid.uuid4())},
    )


async def refused(awaitable):
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value.status, caught.value.body.get("code")


def signed(body, secret=SECRET, at=None):
    seconds = int(time.time() if at is None else at)
    code = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Holdfast-Signature": f"t={seconds},v1={code}", "Content-Type": "application/json"}


async def post_raw(instance, path, body, headers):
    async with aiohttp.ClientSession() as session:
        async with session.post(instance.url + path, data=body, headers=headers) as answer:
            return answer.status


async def test_an_event_is_changed_on_every_instance_within_a_second(shop, chief):
    one, other = shop.instances
    event = shop.create_event()
    before = await chief.http(one, "GET", f"/api/admin/events/{event}")
    tag = {"If-Match": f'"{before["version"]}"'}
    changed = await chief.http(
        one, "PATCH", f"/api/admin/events/{event}",
        {"title": "Other title", "sale": {"maxSeatsPerUser": 1, "holdSeconds": 30}, "queue": {"passSeconds": 7}},
        headers=tag,
    )
    assert changed["title"] == "Other title" and changed["venue"] == before["venue"]
    assert changed["sale"]["maxSeatsPerUser"] == 1 and changed["queue"]["passSeconds"] == 7
    assert changed["version"] == before["version"] + 1
    assert await refused(
        chief.http(one, "PATCH", f"/api/admin/events/{event}", {"title": "Late"}, headers=tag)
    ) == (412, "EVENT_CHANGED")
    await asyncio.sleep(1)
    assert (await chief.http(other, "GET", f"/api/events/{event}"))["title"] == "Other title"
    ann = await fan_of(shop, "ann")
    lock = {"eventId": event, "seatIds": ["VIP-1-1", "VIP-1-2"]}
    assert await refused(ann.http(other, "POST", "/api/seats/lock", lock)) == (422, "LIMIT_EXCEEDED")
    for wrong in [{"title": ""}, {"sale": {"holdSeconds": 0}}, {"sections": []}, {"currency": "EUR"}, {"sale": 1},
                  {"queue": {"mode": "lobby"}}, {"queue": {"mode": "loud"}}, {"title": None}, {"status": "closed"}]:
        assert await refused(chief.http(one, "PATCH", f"/api/admin/events/{event}", wrong)) == (422, "INVALID"), wrong
    assert await refused(
        chief.http(one, "PATCH", f"/api/admin/events/{uuid.uuid4()}", {"title": "x"})
    ) == (404, "EVENT_NOT_FOUND")
    assert (await refused(ann.http(one, "PATCH", f"/api/admin/events/{event}", {"title": "x"})))[0] == 403


async def test_an_event_without_orders_is_deleted_with_its_keys_and_one_with_orders_is_not(shop, chief):
    one = shop.instances[0]
    ann = await fan_of(shop, "ann")
    event = shop.create_event(queue=shop.open_queue())
    await ann.http(one, "POST", f"/api/queue/check/{event}")
    watcher = Fan(ann.token)
    await watcher.connect(one)
    await watcher.call("join-event", {"eventId": event})
    assert shop.redis("--scan", "--pattern", f"hf:{{event:{event}}}*")
    answer = await chief.http(one, "DELETE", f"/api/admin/events/{event}")
    assert answer["eventId"] == event
    await watcher.hears("event-status-changed", lambda payload: payload["status"] == "closed")
    await asyncio.sleep(1.5)
    for instance in shop.instances:
        assert await refused(chief.http(instance, "GET", f"/api/events/{event}")) == (404, "EVENT_NOT_FOUND")
    left = shop.redis("--scan", "--pattern", f"hf:{{event:{event}}}:[sq]*")
    assert not left, left
    assert await refused(chief.http(one, "DELETE", f"/api/admin/events/{event}")) == (404, "EVENT_NOT_FOUND")
    await everybody_leaves(watcher)

    event = shop.create_event()
    reservation = await order(ann, one, event, ["VIP-1-1"])
    await ann.http(one, "POST", f"/api/reservations/{reservation['reservationId']}/cancel")
    assert await refused(chief.http(one, "DELETE", f"/api/admin/events/{event}")) == (409, "EVENT_HAS_ORDERS")
    assert (await chief.http(one, "GET", f"/api/events/{event}"))["status"] == "open"


async def test_support_sees_a_persons_whole_path(shop, chief):
    one, other = shop.instances
    ann, bob = await fan_of(shop, "ann"), await fan_of(shop, "bob")
    event = shop.create_event(queue=shop.open_queue())

    async def admitted(fan):
        return (await fan.http(one, "POST", f"/api/queue/check/{event}"))["status"] == "admitted"

    for fan in (ann, bob):
        while not await admitted(fan):
            await asyncio.sleep(0.1)
    await bob.http(one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["R-1-1"]})
    await ann.http(one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["VIP-1-1", "VIP-1-2"]})
    await ann.http(other, "POST", "/api/seats/extend", {"eventId": event})
    await ann.http(one, "POST", "/api/seats/release", {"eventId": event, "seatIds": ["VIP-1-2"]})
    reservation = await ann.http(
        one, "POST", "/api/reservations", {"eventId": event, "seatIds": ["VIP-1-1"]}, 201, {"Idempotency-Key": "path"}
    )
    pay = {"reservationId": reservation["reservationId"], "paymentMethod": "sandbox-decline"}
    assert await refused(ann.http(one, "POST", "/api/payments/process", pay)) == (402, "PAYMENT_DECLINED")
    await ann.http(one, "POST", "/api/payments/process", pay | {"paymentMethod": "sandbox"})
    path = f"/api/admin/events/{event}/users/ann/history"
    deadline = time.monotonic() + 20
    while True:
        answer = await chief.http(other, "GET", path)
        # Others signed this person out in tests before.
        answer["history"] = [step for step in answer["history"] if step["type"].split(".")[0] in ("queue", "seats", "order")]
        types = [step["type"] for step in answer["history"]]
        if "queue.admitted" in types or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.1)
    assert types == [
        "queue.joined", "queue.admitted", "seats.held", "seats.extended", "seats.released", "order.created",
        "order.paying", "order.declined", "order.paying", "order.paid",
    ]
    assert answer["isComplete"] and all(step["reason"] for step in answer["history"])
    times = [step["at"] for step in answer["history"]]
    assert times == sorted(times)
    assert answer["history"][2]["seatIds"] == ["VIP-1-1", "VIP-1-2"]
    assert await refused(chief.http(one, "GET", path.replace("ann", "nobody"))) == (404, "NOT_FOUND")
    assert (await refused(ann.http(one, "GET", path)))[0] == 403
    # It outlives Redis.
    until(lambda: shop.sql(f"SELECT count(*) FROM seat_history WHERE user_id = 'ann' AND event_id = '{event}'") == ["3"])
    shop.redis("FLUSHDB")
    chief = await Fan().login(one, "chief")
    types = [step["type"] for step in (await chief.http(other, "GET", path))["history"]]
    assert types.count("seats.held") == 1


async def test_a_path_tells_what_administrators_did_to_it(shop, chief):
    """Paused, passed over, let in on return, blocked, cleared, signed out by somebody: nothing is silent."""
    one = shop.instances[0]
    lena, mina = await fan_of(shop, "lena"), await fan_of(shop, "mina")
    event = shop.create_event(queue={
        "enabled": True, "maxActive": 1, "ratePerMinute": 6000, "mode": "fifo", "passSeconds": 120,
    })
    queue, path = f"/api/queue/admin/{event}", f"/api/admin/events/{event}/users"
    await chief.http(one, "PATCH", queue, {"paused": True})
    await lena.http(one, "POST", f"/api/queue/check/{event}")
    await mina.http(one, "POST", f"/api/queue/check/{event}")

    async def becomes(types, user, within=30):
        deadline = time.monotonic() + within
        while True:
            steps = (await chief.http(one, "GET", f"{path}/{user}/history"))["history"]
            if types <= {step["type"] for step in steps}:
                return steps
            assert time.monotonic() < deadline, [step["type"] for step in steps]
            await asyncio.sleep(0.2)

    # Mina keeps asking; Lena is away when the queue goes on, and her turn passes.
    await asyncio.sleep(5.5)
    assert (await mina.http(one, "GET", f"/api/queue/status/{event}"))["status"] == "waiting"
    await chief.http(one, "PATCH", queue, {"paused": False})
    until_in = time.monotonic() + 30
    while (await mina.http(one, "GET", f"/api/queue/status/{event}"))["status"] != "admitted":
        assert time.monotonic() < until_in
        await asyncio.sleep(0.1)
    await becomes({"queue.joined", "queue.passed-over"}, "lena")
    await chief.http(one, "PATCH", queue, {"maxActive": 2})
    while (await lena.http(one, "GET", f"/api/queue/status/{event}"))["status"] != "admitted":
        assert time.monotonic() < until_in + 30
        await asyncio.sleep(0.1)

    await lena.connect(one)
    await lena.call("join-seat-selection", {"eventId": event})
    await lena.call("seat-selection-changed", {"eventId": event, "seats": ["VIP-1-1", "VIP-1-2"]})
    await chief.http(one, "POST", f"/api/admin/events/{event}/seats/block", {"seatIds": ["VIP-1-1"]})
    gone = await lena.hears("hold-expired")
    assert (gone["seatIds"], gone["reason"]) == (["VIP-1-1"], "blocked")
    await chief.http(one, "POST", f"/api/queue/admin/clear/{event}")
    await chief.http(one, "DELETE", "/api/session/user/lena")
    shop.command("event", "pause", event)

    wanted = {
        "queue.admitted", "seats.blocked", "admin.queue.cleared", "admin.sessions.ended", "operator.event.status",
    }
    steps = await becomes(wanted, "lena")
    types = [step["type"] for step in steps]
    assert [kind for kind in types if kind.split(".")[0] in ("queue", "seats")] == [
        "queue.joined", "queue.passed-over", "queue.admitted", "seats.held", "seats.blocked",
    ]
    assert types.count("admin.queue.changed") == 3 and "admin.seats.blocked" in types
    by = {step["type"]: step.get("by") for step in steps}
    assert by["admin.sessions.ended"] == by["admin.queue.cleared"] == "chief"
    assert all(step["reason"].endswith(".") for step in steps)
    assert next(step for step in steps if step["type"] == "seats.blocked")["seatIds"] == ["VIP-1-1"]
    await everybody_leaves(lena, mina)


async def test_the_report_as_csv(shop, chief):
    one = shop.instances[0]
    ann = await fan_of(shop, "ann")
    event = shop.create_event(sections=[
        {"name": "=1+1", "rows": 1, "seatsPerRow": 3, "price": 10}, {"name": "a, b", "rows": 1, "seatsPerRow": 2, "price": 20},
    ])
    await order(ann, one, event, ["=1+1-1-2"])
    report = await chief.http(one, "GET", f"/api/admin/events/{event}/report")
    for headers, query in [({}, "?format=csv"), ({"Accept": "text/csv"}, "")]:
        text = await chief.http(one, "GET", f"/api/admin/events/{event}/report{query}", headers=headers)
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["section"] for row in rows] == ["'=1+1", "a, b"]
        assert [int(row["pending"]) for row in rows] == [section["pending"] for section in report["bySection"]]
        assert text.endswith("\r\n")
    seats = await chief.http(one, "GET", f"/api/admin/events/{event}/report?format=csv&detail=seats")
    [row] = list(csv.DictReader(io.StringIO(seats, newline="")))
    assert (row["userId"], row["status"], row["price"], row["seatId"]) == ("ann", "pending", "10", "'=1+1-1-2")
    for query in ["format=xml", "detail=seats", "format=csv&detail=all"]:
        path = f"/api/admin/events/{event}/report?{query}"
        assert await refused(chief.http(one, "GET", path)) == (422, "INVALID")


async def test_every_step_of_an_order_is_told_once_accepted_in_order_and_signed(shop, receiver, chief):
    one = shop.instances[0]
    ann = await fan_of(shop, "ann")
    event = shop.create_event()
    paid = await order(ann, one, event, ["VIP-1-1"])
    await ann.http(
        one, "POST", "/api/payments/process",
        {"reservationId": paid["reservationId"], "paymentMethod": "sandbox"},
    )
    cancelled = await order(ann, one, event, ["VIP-1-2"])
    await ann.http(one, "POST", f"/api/reservations/{cancelled['reservationId']}/cancel")
    until(lambda: "order.paid" in [m["type"] for m in receiver.of(paid["reservationId"])], 30)
    until(lambda: "order.cancelled" in [m["type"] for m in receiver.of(cancelled["reservationId"])], 30)
    ids = {}
    for message in receiver.of(paid["reservationId"]):
        ids.setdefault(message["id"], message["type"])
    assert list(ids.values()) == ["order.created", "order.paid"]
    message = receiver.of(paid["reservationId"])[-1]
    assert message["seatIds"] == ["VIP-1-1"] and message["totalAmount"] == 150000 and message["userId"] == "ann"
    assert len(receiver.heard) > receiver.failures
    for headers, body in receiver.heard:
        parts = dict(part.split("=", 1) for part in headers["X-Holdfast-Signature"].split(","))
        code = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(code, parts["v1"])
    summary = await chief.http(one, "GET", "/api/admin/webhooks")
    assert summary["parkedTotal"] == 0 and summary["parked"] == []
    assert (await chief.http(one, "POST", "/api/admin/webhooks/retry"))["due"] == 0


async def test_incoming_results_count_once_however_they_come(shop):
    one, other = shop.instances
    ann = await fan_of(shop, "ann")
    event = shop.create_event()
    reservation = await order(ann, one, event, ["VIP-1-1"])
    waiting = await ann.http(
        one, "POST", "/api/payments/process",
        {"reservationId": reservation["reservationId"], "paymentMethod": "sandbox-never"}, 202,
    )

    def message(identifier, kind, payment=waiting["paymentId"]):
        return json.dumps({
            "id": identifier, "type": f"payment.{kind}", "paymentId": payment,
            "reservationId": reservation["reservationId"],
        }).encode()

    success = message("s-1", "succeeded")
    wrong = signed(success, secret="other")
    assert await post_raw(one, "/api/payments/webhook", success, wrong) == 401
    assert await post_raw(one, "/api/payments/webhook", success, signed(success, at=time.time() - 301)) == 400
    assert await post_raw(one, "/api/payments/webhook", b"{}", signed(b"{}")) == 400
    unknown = message("u-1", "succeeded", str(uuid.uuid4()))
    assert await post_raw(one, "/api/payments/webhook", unknown, signed(unknown)) == 404
    failed = message("f-1", "failed")
    statuses = await asyncio.gather(*[
        post_raw(instance, "/api/payments/webhook", body, signed(body))
        for body in (success, failed) for instance in (one, other) for _ in range(5)
    ])
    assert set(statuses) == {200}
    path = f"/api/reservations/{reservation['reservationId']}"
    assert (await ann.http(one, "GET", path))["status"] == "paid"
    assert shop.sql(
        f"SELECT count(*) FROM payments WHERE reservation_id = '{reservation['reservationId']}' AND status = 'succeeded'"
    ) == ["1"]


async def test_metrics_are_what_prometheus_reads_and_nobody_makes_labels(shop, chief):
    one = shop.instances[0]
    ann = await fan_of(shop, "ann")
    event = shop.create_event()
    await order(ann, one, event, ["VIP-1-1"])
    for path in [f"/nothing/{uuid.uuid4()}", f"/api/events/{uuid.uuid4()}"]:
        with pytest.raises(Refused):
            await ann.http(one, "GET", path)
    async with aiohttp.ClientSession() as session:
        async with session.request("BREW", one.url + "/api/events") as answer:
            assert answer.status in (404, 405, 400)
        async with session.get(one.url + "/metrics") as answer:
            assert answer.status == 200 and answer.content_type == "text/plain"
            assert "version=0.0.4" in answer.headers["Content-Type"]
            text = await answer.text()
        async with session.get(one.url + "/metrics", headers={"X-Forwarded-For": "192.0.2.1"}) as answer:
            assert answer.status == 403
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name in [
        "holdfast_http_requests", "holdfast_http_request_seconds", "holdfast_orders", "holdfast_seat_actions",
        "holdfast_seat_holds", "holdfast_sockets", "holdfast_postgres_query_seconds", "redis_command_seconds",
        "redis_commands", "process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds",
        "holdfast_build_info", "holdfast_uptime_seconds", "holdfast_queue_waiting", "holdfast_queue_active",
        "holdfast_queue_admitted", "holdfast_queue_tick_seconds",
    ]:
        assert name in families and families[name].samples and families[name].documentation, name
    assert all(family.documentation for family in families.values()), [
        name for name, family in families.items() if not family.documentation
    ]
    requests = families["holdfast_http_requests"].samples
    routes = {sample.labels["route"] for sample in requests}
    assert "/api/events/{eventId}" in routes and not any(event in route for route in routes)
    assert {sample.labels["method"] for sample in requests} <= {"GET", "POST", "PATCH", "DELETE", "HEAD", "OTHER", "OPTIONS"}
    orders = {sample.labels["change"]: sample.value for sample in families["holdfast_orders"].samples}
    assert orders["created"] >= 1
    for family in families.values():
        if family.type != "histogram":
            continue
        buckets = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
                buckets.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
        for values in buckets.values():
            assert values == sorted(values) and [value for _, value in values] == sorted(value for _, value in values)
            assert values[-1][0] == float("inf")


def selectors(expression):
    """The metrics of a PromQL expression with the labels that are asked of them: [(name, {label: value})]."""
    words = set("sum by le rate increase histogram_quantile max min or and without avg".split())
    found = []
    for name, labels in re.findall(r"(?<![\w.])([a-z_][a-z0-9_]*)(?:\{([^}]*)\})?", re.sub(r"by \([^)]*\)|\[[^]]*\]", "", expression)):
        if name not in words:
            found.append((name, dict(re.findall(r'(\w+)=~?"([^"]*)"', labels))))
    return found


async def test_rules_and_dashboard_ask_for_metrics_that_there_are(shop):
    one = shop.instances[0]
    ann = await fan_of(shop, "ann")
    await ann.http(one, "GET", "/api/auth/me")
    await ann.connect(one)
    await ann.leave()

    async def read():
        async with aiohttp.ClientSession() as session:
            async with session.get(one.url + "/metrics") as answer:
                return list(text_string_to_metric_families(await answer.text()))

    # Reasons are known by their first socket.
    deadline = time.monotonic() + 20
    families = await read()
    while "holdfast_sockets_closed" not in {family.name for family in families}:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
        families = await read()
    samples = {}
    for family in families:
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    # Made by Prometheus itself.
    samples["up"] = [{"job": "holdfast"}]
    folder = ROOT / "Deploy/prometheus"
    rules = re.findall(r"^ +expr: (.*)$", (folder / "alerts.yml").read_text(), re.M)
    board = json.loads((folder / "grafana.json").read_text())
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(rules) > 10 and len(panels) > 20
    for expression in rules + panels:
        asked = selectors(expression)
        assert asked, expression
        for name, labels in asked:
            assert name in samples, (name, expression)
            for label, value in labels.items():
                # A pattern, as of statuses, may have no example yet.
                is_pattern = "." in value
                assert any(label in known and (is_pattern or known[label] == value) for known in samples[name]), expression
        for label in re.findall(r"by \(([^)]*)\)", expression):
            for part in label.replace(" ", "").split(","):
                known = part == "instance" or any(part in known for name, _ in asked for known in samples[name])
                assert known, (part, expression)
    # What operators are told to look at.
    text = (ROOT / "docs/operations.md").read_text()
    table = text[text.index("Worth an alert"):text.index("## Capacity")]
    for name in re.findall(r"`((?:holdfast|redis|engineio|process)_[a-z_]+)", table):
        assert name in samples or name + "_count" in samples, name
    requests = [labels for labels in samples["holdfast_http_requests_total"] if labels["route"] == "/api/auth/me"]
    assert requests, "the direct way is counted too"


async def test_metrics_with_a_token_are_for_who_shows_it(receiver):
    with Cluster(METRICS_TOKEN="0123456789abcdef") as cluster:
        [one] = cluster.instances
        async with aiohttp.ClientSession() as session:
            for token, status in [(None, 401), ("wrong", 401), ("0123456789abcdef", 200)]:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                async with session.get(one.url + "/metrics", headers=headers) as answer:
                    assert answer.status == status


def doctor(cluster, *arguments, **environment):
    return subprocess.run(
        [cluster.binary, "doctor", *arguments], env=cluster.environment | environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=60, check=False,
    )


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(shop):
    result = doctor(shop, "--json")
    report = json.loads(result.stdout)
    found = {check["name"]: check for check in report["checks"]}
    assert result.returncode == (1 if report["status"] == "failed" else 0), result.stdout
    for name in ["configuration", "PostgreSQL", "migrations", "Redis", "clock of Redis", "clock of PostgreSQL"]:
        assert found[name]["status"] == "ok", found[name]
    assert all(check["status"] == "ok" or check["mend"] for check in report["checks"])
    result = doctor(shop)
    assert "migrations" in result.stdout and "checks" in result.stdout.splitlines()[-1]
    for wrong, name in [
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "PostgreSQL"),
        ({"HOLDFAST_SECRETS": "short"}, "configuration"),
    ]:
        result = doctor(shop, "--json", **wrong)
        found = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
        assert result.returncode == 1 and found[name]["status"] == "failed" and found[name]["mend"], wrong
        assert not result.stderr.strip()


def test_the_doctor_misses_a_migration(shop):
    admin = shop.database_url
    shop.sql("ALTER TABLE holdfast_migrations RENAME TO hidden", url=admin)
    try:
        result = doctor(shop)
        assert result.returncode == 1 and "holdfast migrate" in result.stdout
    finally:
        shop.sql("ALTER TABLE hidden RENAME TO holdfast_migrations", url=admin)
