"""Whatever is sent, there is a clear answer, and the instance goes on serving."""

import asyncio
import uuid

import aiohttp
import pytest

from fans import Fan, everybody_leaves

NOBODY = str(uuid.uuid4())


@pytest.fixture
def event(cluster):
    return cluster.create_event()


async def problem(instance, method, path, status, code, token=None, data=None, headers=None, **arguments):
    headers = dict(headers or {})
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with aiohttp.ClientSession() as session:
        async with session.request(
            method, instance.url + path, data=data, headers=headers, **arguments
        ) as answer:
            body = await answer.json(content_type="application/problem+json")
            assert (answer.status, body["code"]) == (status, code), body
            assert body["status"] == status and body["title"] and body["detail"] and body["type"]
            if status in (429, 503):
                assert int(answer.headers["Retry-After"]) > 0
            return body


JSON = {"Content-Type": "application/json"}


async def test_http_bodies_that_cannot_be_used(cluster, event):
    one = cluster.instances[0]
    [token] = cluster.tokens(1)
    lock = "/api/seats/lock"
    for data, status, code in [
        ("{", 400, "MALFORMED_REQUEST"),
        ("", 400, "MALFORMED_REQUEST"),
        ('{"eventId": 7, "seatIds": []}', 422, "INVALID"),
        ('{"eventId": "x", "seatIds": ["VIP-1-1"]}', 422, "INVALID"),
        ("[]", 422, "INVALID"),
        ("null", 422, "INVALID"),
        (f'{{"eventId": "{event}"}}', 422, "INVALID"),
        (f'{{"eventId": "{event}", "seatIds": "VIP-1-1"}}', 422, "INVALID"),
        (f'{{"eventId": "{event}", "seatIds": [1, 2]}}', 422, "INVALID"),
        (f'{{"eventId": "{event}", "seatIds": []}}', 422, "INVALID"),
        (f'{{"eventId": "{NOBODY}", "seatIds": ["VIP-1-1"]}}', 404, "EVENT_NOT_FOUND"),
        (f'{{"eventId": "{event}", "seatIds": ["VIP-9-9"]}}', 404, "SEAT_NOT_FOUND"),
        (f'{{"eventId": "{event}", "seatIds": ["' + "x" * 300_000 + '"]}', 413, "PAYLOAD_TOO_LARGE"),
        ("\xff\xfe", 400, "MALFORMED_REQUEST"),
    ]:
        await problem(one, "POST", lock, status, code, token, data.encode("latin-1"), JSON)
    many = ",".join(f'"VIP-1-{number}"' for number in range(10_000))
    await problem(one, "POST", lock, 422, "INVALID", token, f'{{"eventId": "{event}", "seatIds": [{many}]}}', JSON)
    await problem(one, "POST", lock, 415, "UNSUPPORTED_MEDIA_TYPE", token, "{}", {"Content-Type": "text/plain"})
    coded = JSON | {"Content-Encoding": "gzip"}
    await problem(one, "POST", lock, 415, "UNSUPPORTED_MEDIA_TYPE", token, b"\x1f\x8b", coded)


async def test_addresses_and_ids_of_other_peoples_things(cluster, event):
    one = cluster.instances[0]
    owner, stranger = cluster.tokens(2)
    mine = Fan(owner)
    await mine.http(one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["R-1-1"]})
    reservation = await mine.http(
        one, "POST", "/api/reservations", {"eventId": event, "seatIds": ["R-1-1"]}, expect=201,
        headers={"Idempotency-Key": "one"},
    )
    own = reservation["reservationId"]
    for path, method, code in [
        ("/api/nothing", "GET", "NOT_FOUND"),
        ("/api/events/not-a-uuid", "GET", "EVENT_NOT_FOUND"),
        (f"/api/events/{NOBODY}", "GET", "EVENT_NOT_FOUND"),
        (f"/api/events/{NOBODY}/seats", "GET", "EVENT_NOT_FOUND"),
        (f"/api/reservations/{own}", "GET", "RESERVATION_NOT_FOUND"),
        (f"/api/reservations/{own}/cancel", "POST", "RESERVATION_NOT_FOUND"),
        (f"/api/reservations/{NOBODY}", "GET", "RESERVATION_NOT_FOUND"),
        ("/api/reservations/'; DROP TABLE orders; --", "GET", "RESERVATION_NOT_FOUND"),
        (f"/api/queue/status/{NOBODY}", "GET", "EVENT_NOT_FOUND"),
        ("/api/v1/auth/sessions/" + "A" * 43, "DELETE", "NOT_FOUND"),
        ("/../../etc/passwd", "GET", "NOT_FOUND"),
        ("/%2e%2e/%2e%2e/etc/passwd", "GET", "NOT_FOUND"),
    ]:
        await problem(one, method, path, 404, code, stranger)
    pay = f'{{"reservationId": "{own}", "paymentMethod": "sandbox"}}'
    await problem(one, "POST", "/api/payments/process", 404, "RESERVATION_NOT_FOUND", stranger, pay, JSON)
    order = f'{{"eventId": "{event}", "seatIds": ["R-1-1"]}}'
    await problem(one, "POST", "/api/reservations", 400, "IDEMPOTENCY_KEY_REQUIRED", stranger, order, JSON)
    key = JSON | {"Idempotency-Key": "two"}
    await problem(one, "POST", "/api/reservations", 409, "NOT_HELD", stranger, order, key)
    other = f'{{"eventId": "{event}", "seatIds": ["R-1-2"]}}'
    await problem(
        one, "POST", "/api/reservations", 422, "IDEMPOTENCY_KEY_REUSED", owner, other, JSON | {"Idempotency-Key": "one"}
    )
    await problem(one, "POST", "/api/admin/events", 403, "FORBIDDEN", stranger, "{}", JSON)
    await problem(one, "GET", f"/api/queue/admin/{event}", 403, "FORBIDDEN", stranger)
    await problem(one, "GET", "/api/auth/active-sessions", 403, "FORBIDDEN", stranger)
    await problem(one, "GET", "/api/auth/me", 401, "AUTHENTICATION_REQUIRED")
    await problem(one, "GET", "/api/events?limit=0", 422, "INVALID")
    await problem(one, "GET", "/api/events?cursor=nonsense", 422, "INVALID")


async def test_wrong_passwords_are_throttled_and_tell_nothing(cluster):
    one, two, _ = cluster.instances
    cluster.create_user("minsu")
    answers = []
    for user in ("minsu", "nobody-of-this-name"):
        body = f'{{"user_id": "{user}", "password": "wrong password"}}'
        answers.append(await problem(one, "POST", "/api/auth/login", 401, "INVALID_CREDENTIALS", None, body, JSON))
    assert answers[0] == answers[1], "nobody can find out who has an account"
    body = '{"user_id": "minsu", "password": "wrong password"}'
    for attempt in range(2, 10):
        await problem((one, two)[attempt % 2], "POST", "/api/auth/login", 401, "INVALID_CREDENTIALS", None, body, JSON)
    await problem(two, "POST", "/api/auth/login", 429, "TOO_MANY_REQUESTS", None, body, JSON)


async def test_socket_events_that_cannot_be_used_are_refused_and_the_socket_stays(cluster, event):
    one = cluster.instances[0]
    fan = Fan(cluster.tokens(1)[0])
    await fan.connect(one)
    many = [f"VIP-1-{number}" for number in range(3_000)]
    for name, data, code in [
        ("join-event", {}, "INVALID"),
        ("join-event", {"eventId": 7}, "INVALID"),
        ("join-event", "text", "INVALID"),
        ("join-event", [1], "INVALID"),
        ("join-event", {"eventId": NOBODY}, "EVENT_NOT_FOUND"),
        ("join-queue", {"eventId": None}, "INVALID"),
        ("seat-selection-changed", {"eventId": event}, "INVALID"),
        ("seat-selection-changed", {"eventId": event, "seats": {"a": 1}}, "INVALID"),
        ("seat-selection-changed", {"eventId": event, "seats": ["VIP-99-1"]}, "SEAT_NOT_FOUND"),
        ("seat-selection-changed", {"eventId": event, "seats": many}, "INVALID"),
        ("best-available", {"eventId": event, "quantity": -1}, "INVALID"),
        ("hold-extend", {"eventId": event}, "NOT_HELD"),
        ("sync", {"eventId": event, "seq": "x"}, "INVALID"),
        ("authenticate", {"token": "nonsense"}, "INVALID_TOKEN"),
        ("no-such-event", {}, "UNKNOWN_EVENT"),
    ]:
        answer = await fan.call(name, data, ok=False)
        assert answer["code"] == code and answer["detail"], (name, data, answer)
    await fan.socket.emit("join-event", {"eventId": NOBODY})
    unasked = await fan.hears("error")
    assert unasked["code"] == "EVENT_NOT_FOUND"
    await fan.call("latency")
    await everybody_leaves(fan)


async def test_frames_that_break_the_rules_end_that_connection_only(cluster, event):
    one = cluster.instances[0]
    bystander = Fan(cluster.tokens(1)[0])
    await bystander.connect(one)
    url = one.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    for frame in ["4" + "2" * 70_000, "9", "", "42[", "42{}", '42["x"]', "4x", "451-", "40{", "\x00"]:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url) as socket:
                await socket.receive_str()
                await socket.send_str(frame)
                async with asyncio.timeout(5):
                    while (await socket.receive()).type not in (
                        aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR,
                    ):
                        pass
    await bystander.call("latency")
    await everybody_leaves(bystander)


async def test_a_foreign_page_cannot_open_a_socket(cluster):
    url = cluster.instances[0].url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession() as session:
        for origin in ("https://evil.example", "null"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await session.ws_connect(url, headers={"Origin": origin})
            assert refusal.value.status == 403
