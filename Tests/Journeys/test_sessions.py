"""Sessions and devices: ended from anywhere, on every instance, within a second."""

import asyncio
import base64
import secrets
import subprocess
import time

import pytest

from cluster import PASSWORD, Cluster, until
from fans import Fan, Refused, everybody_leaves
from ports import free_port

SOON = 3.0  # the contract promises 1 s; a machine that also runs the other tests may be late


async def status(fan, instance, path="/api/auth/me"):
    try:
        await fan.http(instance, "GET", path)
        return 200
    except Refused as refused:
        return refused.status


async def is_told(fan, reason, since):
    """Hears why it was signed out, and loses its socket, within a second of `since`."""
    assert (await fan.hears("force-logout", within=5))["reason"] == reason
    await fan.hears("(disconnected)", within=5)
    assert fan.heard_at("(disconnected)") - since < SOON


async def admin_of(cluster, name="chief", role="super_admin"):
    cluster.create_user(name, role)
    return await Fan().login(cluster.instances[0], name)


@pytest.fixture(scope="module")
def pair():
    with Cluster(instances=2) as running:
        running.create_user("chief", "super_admin")
        yield running


@pytest.fixture
async def chief(pair):
    return await Fan().login(pair.instances[0], "chief")


async def test_an_administrator_sees_pages_counts_and_finds_people(pair, chief):
    one, two = pair.instances
    tokens = pair.tokens(120)
    for path in ("all", "stats", "user/load-1"):
        await Fan(tokens[0]).http(one, "GET", f"/api/session/{path}", expect=403)
    await Fan(tokens[0]).http(one, "POST", "/api/session/cleanup", expect=403)
    await Fan(tokens[0]).http(one, "DELETE", "/api/session/user/load-2", expect=403)

    seen, cursor, total = [], "", None
    while cursor is not None:
        page = await chief.http(two, "GET", f"/api/session/all?limit=50&cursor={cursor}" if cursor
                                else "/api/session/all?limit=50")
        assert len(page["sessions"]) <= 50
        seen += [session["session_id"] for session in page["sessions"]]
        cursor, total = page["next_cursor"], page["total"]
    assert len(seen) == len(set(seen)) == total
    stats = await chief.http(one, "GET", "/api/session/stats")
    assert stats["total_sessions"] == total
    assert stats["sessions_by_role"]["user"] + stats["sessions_by_role"]["super_admin"] == total
    assert 3_000 < stats["average_ttl"] < 21_700

    found = await chief.http(one, "GET", "/api/session/all?q=LOAD-11")
    assert {session["user_id"] for session in found["sessions"]} == {"load-11", *(f"load-11{n}" for n in range(10))}
    mine = await chief.http(one, "GET", "/api/session/all?role=super_admin")
    assert {session["user_id"] for session in mine["sessions"]} == {"chief"}
    listed = await chief.http(two, "GET", "/api/session/user/load-7")
    assert listed["total"] == 1 and listed["sessions"][0]["user_name"] == "Load test 7"
    assert (await chief.http(two, "GET", "/api/session/user/nobody"))["sessions"] == []
    await chief.http(one, "GET", "/api/session/all?cursor=x", expect=422)
    active = await chief.http(one, "GET", "/api/auth/active-sessions")
    assert active["active_sessions"] >= 120 and "load-3" in active["users"]
    assert await chief.http(one, "POST", "/api/session/cleanup") == {"cleaned_count": 0}


async def test_an_administrator_signs_a_person_or_a_device_out_everywhere(pair, chief):
    one, two = pair.instances
    pair.create_user("minji")
    phone, laptop = await Fan().login(one, "minji"), await Fan().login(two, "minji")
    await phone.connect(two)
    await laptop.connect(one)
    since = time.monotonic()
    handle = phone.signed_in["session_id"]
    await chief.http(one, "DELETE", f"/api/session/user/minji/{handle}")
    await is_told(phone, "admin", since)
    assert await status(phone, one) == await status(phone, two) == 401
    assert await status(laptop, one) == 200 and not laptop.heard("force-logout")
    since = time.monotonic()
    answer = await chief.http(one, "DELETE", "/api/session/user/minji")
    assert answer["deleted_count"] == 1 and answer["message"]
    await is_told(laptop, "admin", since)
    refresh = {"refresh_token": laptop.signed_in["refresh_token"]}
    await laptop.http(two, "POST", "/api/auth/refresh", refresh, expect=401)
    await phone.http(one, "DELETE", f"/api/session/user/minji/{handle}", expect=401)
    await chief.http(one, "DELETE", f"/api/session/user/minji/{handle}", expect=404)


async def test_disabling_an_account_takes_effect_at_once_on_every_instance(pair, chief):
    one, two = pair.instances
    pair.create_user("dora")
    fan = await Fan().login(one, "dora")
    await fan.connect(two)
    assert await status(fan, one) == await status(fan, two) == 200
    since = time.monotonic()
    changed = await chief.http(one, "PATCH", "/api/admin/users/dora", {"active": False})
    assert changed["active"] is False
    assert await status(fan, two) == await status(fan, one) == 401
    await is_told(fan, "account-disabled", since)
    login = {"user_id": "dora", "password": PASSWORD}
    refused = await Fan().http(two, "POST", "/api/auth/login", login, expect=401)
    assert refused["code"] == "ACCOUNT_DISABLED"
    await fan.http(two, "POST", "/api/auth/refresh", {"refresh_token": fan.signed_in["refresh_token"]}, expect=401)
    await chief.http(two, "PATCH", "/api/admin/users/dora", {"active": True})
    again = await Fan().login(one, "dora")
    assert await status(again, two) == 200
    assert await status(fan, two) == 401, "what was ended stays ended"


async def test_new_rights_need_a_new_session_and_are_there_at_once(pair, chief):
    one, two = pair.instances
    pair.create_user("rina")
    fan = await Fan().login(one, "rina")
    assert await status(fan, two, "/api/session/stats") == 403
    await fan.http(one, "PATCH", "/api/admin/users/rina", {"role": "admin"}, expect=403)
    await chief.http(one, "PATCH", "/api/admin/users/rina", {"role": "admin", "groups": ["/Staff", "ROLE_VENUE"]})
    assert await status(fan, one) == await status(fan, two) == 401
    renewed = await fan.http(two, "POST", "/api/auth/refresh", {"refresh_token": fan.signed_in["refresh_token"]})
    assert renewed["session_id"] != fan.signed_in["session_id"]
    old, fan.token = fan.token, renewed["access_token"]
    assert await status(fan, one, "/api/session/stats") == 200
    me = await fan.http(two, "GET", "/api/auth/me")
    assert me["role"] == "admin" and me["groups"] == ["staff", "venue"]
    assert await status(Fan(old), one) == 401
    await fan.http(one, "PATCH", "/api/admin/users/chief", {"active": False}, expect=403)
    await fan.http(one, "PATCH", "/api/admin/users/rina", {"role": "super_admin"}, expect=403)
    await fan.http(one, "DELETE", "/api/session/user/chief", expect=403)
    # One permission, and no more than that.
    pair.create_user("desk")
    await chief.http(one, "PATCH", "/api/admin/users/desk", {"permissions": ["sessions:read"]})
    desk = await Fan().login(two, "desk")
    assert await status(desk, one, "/api/session/stats") == 200
    assert await status(desk, one, "/api/admin/users") == 403
    await desk.http(one, "DELETE", "/api/session/user/rina", expect=403)


async def test_the_audit_log_knows_every_sign_in_refusal_and_act_and_no_secret(pair, chief):
    one, two = pair.instances
    pair.create_user("nari")
    fan = await Fan().login(one, "nari")
    await Fan().http(two, "POST", "/api/auth/login", {"user_id": "nari", "password": "not this one"}, expect=401)
    await fan.http(two, "POST", "/api/auth/logout")
    await chief.http(one, "PATCH", "/api/admin/users/nari", {"active": False})
    log = await chief.http(two, "GET", "/api/admin/audit?user_id=nari&limit=10")
    acts = [(entry["action"], entry["actor"]) for entry in reversed(log["entries"])]
    assert acts == [("operator.account.created", None), ("sign-in", "nari"), ("sign-in.refused", None), ("sign-out", "nari"),
                    ("admin.account.changed", "chief")]
    everything = str(pair.sql("SELECT row_to_json(a) FROM audit_log a"))
    for secret in (PASSWORD, "not this one", fan.token, fan.signed_in["refresh_token"]):
        assert secret not in everything
    await fan.http(one, "GET", "/api/admin/audit", expect=401)


async def test_a_session_that_is_named_must_be_the_tokens_own(pair):
    one, two = pair.instances
    pair.create_user("sumi")
    a, b = await Fan().login(one, "sumi"), await Fan().login(two, "sumi")
    await a.http(two, "GET", "/api/auth/me", headers={"X-Session-ID": a.signed_in["session_id"]})
    await a.http(two, "GET", "/api/auth/me", headers={"X-Session-ID": b.signed_in["session_id"]}, expect=401)
    await a.http(two, "GET", "/api/auth/me", headers={"X-Session-ID": "nonsense"}, expect=401)


async def test_a_refresh_token_alone_signs_its_device_out_and_nobody_elses(pair):
    one, two = pair.instances
    for name in ("hana", "hyun"):
        pair.create_user(name)
    hana, other = await Fan().login(one, "hana"), await Fan().login(two, "hyun")
    refresh = {"refresh_token": hana.signed_in["refresh_token"]}
    await other.http(one, "POST", "/api/v1/auth/logout", refresh)
    assert await status(hana, two) == 200 and await status(other, one) == 401
    answer = await Fan().http(two, "POST", "/api/v1/auth/logout", refresh)
    assert answer["message"] == "Successfully logged out"
    assert await status(hana, one) == await status(hana, two) == 401
    await Fan().http(one, "POST", "/api/auth/refresh", refresh, expect=401)
    await Fan().http(one, "POST", "/api/v1/auth/logout", refresh, expect=401)
    await Fan().http(one, "POST", "/api/v1/auth/logout", {"refresh_token": "x"}, expect=401)


async def test_signing_out_everywhere_counts_sessions_and_tokens(pair):
    one, two = pair.instances
    pair.create_user("tae")
    first, second = await Fan().login(one, "tae"), await Fan().login(two, "tae")
    await second.http(one, "POST", "/api/auth/refresh", {"refresh_token": second.signed_in["refresh_token"]})
    ended = await first.http(two, "POST", "/api/v1/auth/logout/all")
    assert (ended["sessions_invalidated"], ended["tokens_blacklisted"]) == (2, 3)


async def test_a_socket_that_speaks_for_another_session_outlives_the_first(pair):
    one, two = pair.instances
    pair.create_user("yuri")
    first, second = await Fan().login(one, "yuri"), await Fan().login(two, "yuri")
    await first.connect(two)
    await first.call("authenticate", {"token": second.token})
    await first.http(one, "POST", "/api/auth/logout")
    await first.call("latency")
    assert not first.heard("(disconnected)")
    await second.http(one, "POST", "/api/auth/logout")
    await first.hears("(disconnected)", within=2)


async def test_a_used_refresh_token_ends_its_devices_everywhere(pair):
    one, two = pair.instances
    pair.create_user("jun")
    fan = await Fan().login(one, "jun")
    refresh = {"refresh_token": fan.signed_in["refresh_token"]}
    pairs = await asyncio.gather(
        *(Fan().http((one, two)[n % 2], "POST", "/api/auth/refresh", refresh) for n in range(200))
    )
    assert len({answer["refresh_token"] for answer in pairs}) == 1
    fan.token = pairs[0]["access_token"]
    await fan.connect(two)
    pair.sql("UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds' WHERE used_at IS NOT NULL")
    since = time.monotonic()
    reused = await Fan().http(one, "POST", "/api/auth/refresh", refresh, expect=401)
    assert reused["code"] == "REFRESH_TOKEN_REUSED"
    await is_told(fan, "token-reuse", since)
    assert await status(fan, one) == await status(fan, two) == 401


async def test_a_common_password_is_refused(pair):
    account = {"user_id": "naive", "password": "Password123", "user_name": "N", "email": "n@example.org"}
    refused = await Fan().http(pair.instances[0], "POST", "/api/auth/register", account, expect=422)
    assert refused["errors"][0]["field"] == "password"


async def test_the_logs_hold_no_secret():
    with Cluster(instances=2, LOG_LEVEL="trace") as cluster:
        one, two = cluster.instances
        cluster.create_user("quiet")
        fan = await Fan().login(one, "quiet")
        await fan.connect(two)
        await fan.http(two, "POST", "/api/auth/refresh", {"refresh_token": fan.signed_in["refresh_token"]})
        await fan.http(one, "POST", "/api/v1/auth/logout/all")
        await fan.hears("(disconnected)", within=2)
        logs = "".join(instance.log.read_text() for instance in cluster.instances)
        for secret in (PASSWORD, fan.token, fan.token.split(".")[2], fan.signed_in["refresh_token"]):
            assert secret not in logs


async def test_the_newest_login_takes_everything_along_and_the_old_tab_stays_out():
    with Cluster(instances=2, DUPLICATE_LOGIN="replace") as cluster:
        one, two = cluster.instances
        event = cluster.create_event()
        line = cluster.create_event(queue=cluster.open_queue(maxActive=1))
        cluster.create_user("first")
        cluster.create_user("duri")
        first, old = await Fan().login(one, "first"), await Fan().login(one, "duri")
        await first.http(one, "POST", f"/api/queue/check/{line}")
        await old.connect(one)
        await old.call("join-event", {"eventId": event})
        await old.call("join-seat-selection", {"eventId": event})
        seats = (await old.call("seat-selection-changed", {"eventId": event, "seats": ["VIP-1-1", "VIP-1-2"]}))
        place = await old.call("join-queue", {"eventId": line})
        since = time.monotonic()
        new = await Fan().login(two, "duri")
        since = time.monotonic()
        await is_told(old, "duplicate-login", since)
        await new.connect(two)
        restored = await new.hears("session-restored")
        assert sorted(restored["selectedSeats"]) == sorted(seats["selectedSeats"])
        assert restored["holds"]["fence"] == seats["fence"]
        assert restored["queue"]["position"] <= place["position"]
        # The old tab tries what a client tries by itself: its token, then its refresh token.
        refusal = await old.is_refused(one)
        assert refusal["message"] == "Session expired"
        await old.http(one, "POST", "/api/auth/refresh", {"refresh_token": old.signed_in["refresh_token"]}, expect=401)
        assert await status(new, one) == 200
        await new.call("latency")
        await everybody_leaves(new)


async def test_two_logins_at_the_same_instant_leave_exactly_one():
    with Cluster(instances=2, DUPLICATE_LOGIN="replace") as cluster:
        one, two = cluster.instances
        cluster.create_user("twin")
        for _ in range(4):
            both = await asyncio.gather(Fan().login(one, "twin"), Fan().login(two, "twin"))
            alive = [fan for fan in both if await status(fan, one) == 200]
            assert len(alive) == 1
            listed = await alive[0].http(two, "GET", "/api/v1/auth/sessions")
            assert listed["active_sessions"] == 1
        assert len(cluster.sql("SELECT 1 FROM refresh_families WHERE revoked_at IS NULL")) == 1


async def test_a_second_login_is_refused_where_one_is_all():
    with Cluster(instances=2, DUPLICATE_LOGIN="reject") as cluster:
        one, two = cluster.instances
        cluster.create_user("solo")
        fan = await Fan().login(one, "solo")
        login = {"user_id": "solo", "password": PASSWORD}
        refused = await Fan().http(two, "POST", "/api/auth/login", login, expect=409)
        assert refused["code"] == "ALREADY_SIGNED_IN"
        await fan.http(two, "POST", "/api/auth/logout")
        await Fan().http(two, "POST", "/api/auth/login", login)


async def test_past_the_maximum_the_oldest_device_goes():
    with Cluster(instances=2, MAX_SESSIONS_PER_USER=2) as cluster:
        one, two = cluster.instances
        cluster.create_user("many")
        devices = [await Fan().login((one, two)[n % 2], "many") for n in range(2)]
        await devices[0].connect(two)
        since = time.monotonic()
        devices.append(await Fan().login(one, "many"))
        await is_told(devices[0], "duplicate-login", since + SOON)
        assert [await status(device, two) for device in devices] == [401, 200, 200]


async def test_only_members_of_the_required_group_come_in():
    with Cluster(REQUIRED_GROUP="staff") as cluster:
        one = cluster.instances[0]
        chief = await admin_of(cluster)
        cluster.create_user("guest")
        guest = await Fan().login(one, "guest")
        assert await status(guest, one) == 403
        assert (await guest.is_refused(one))["data"]["code"] == "GROUP_REQUIRED"
        await chief.http(one, "PATCH", "/api/admin/users/guest", {"groups": ["staff"]})
        guest = await Fan().login(one, "guest")
        assert await status(guest, one) == 200


async def test_secrets_change_while_people_stay_signed_in():
    def key():
        return base64.b64encode(secrets.token_bytes(32)).decode()

    old, new = key(), key()
    with Cluster(HOLDFAST_SECRETS=old) as cluster:
        one = cluster.instances[0]
        cluster.create_user("long")
        fan = await Fan().login(one, "long")
        cluster.environment["HOLDFAST_SECRETS"] = f"{new},{old}"
        two = cluster.start()
        assert await status(fan, two) == await status(fan, one) == 200
        renewed = await fan.http(two, "POST", "/api/auth/refresh", {"refresh_token": fan.signed_in["refresh_token"]})
        fan.token = renewed["access_token"]
        assert await status(fan, two) == 200
        cluster.environment["HOLDFAST_SECRETS"] = new
        three = cluster.start()
        assert await status(fan, three) == 200
        last = await fan.http(three, "POST", "/api/auth/refresh", {"refresh_token": renewed["refresh_token"]})
        assert last["session_id"] == fan.signed_in["session_id"]


async def test_a_hundred_sockets_on_two_instances_are_all_closed_within_a_second(pair, chief):
    one, two = pair.instances
    tokens = pair.tokens(100)
    fans = [Fan(token) for token in tokens]
    await asyncio.gather(*(fan.connect((one, two)[n % 2]) for n, fan in enumerate(fans)))
    since, turns = {}, asyncio.Semaphore(8)

    async def end(number):
        async with turns:
            since[number] = time.monotonic()
            await chief.http(one, "DELETE", f"/api/session/user/load-{number + 1}")

    await asyncio.gather(*(end(number) for number in range(100)))
    for number, fan in enumerate(fans):
        await fan.hears("(disconnected)", within=5)
    took = sorted(fan.heard_at("(disconnected)") - since[number] for number, fan in enumerate(fans))
    assert took[-2] < SOON, f"p99 {took[-2]:.3f} s"


async def test_without_redis_nobody_is_let_in_and_the_answer_is_503():
    port = free_port()

    def redis():
        return subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--daemonize", "no"],
            stdout=subprocess.DEVNULL,
        )

    server = redis()
    try:
        with Cluster(instances=1, REDIS_URL=f"redis://127.0.0.1:{port}/0") as cluster:
            one = cluster.instances[0]
            cluster.create_user("patient")
            fan = await Fan().login(one, "patient")
            server.kill()
            server.wait()
            login = {"user_id": "patient", "password": PASSWORD}
            assert await status(fan, one) == 503
            await Fan().http(one, "POST", "/api/auth/login", login, expect=503)
            refresh = {"refresh_token": fan.signed_in["refresh_token"]}
            await Fan().http(one, "POST", "/api/auth/refresh", refresh, expect=503)
            assert (await fan.is_refused(one))["data"]["code"] == "UNAVAILABLE"
            server = redis()
            until(one.is_ready, 20, "the instance finding Redis again")
            assert await status(fan, one) == 401, "an empty Redis knows nobody"
            renewed = await Fan().http(one, "POST", "/api/auth/refresh", refresh)
            assert await status(Fan(renewed["access_token"]), one) == 200
    finally:
        server.kill()
        server.wait()
