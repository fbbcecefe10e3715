"""What the queue promises however one comes in: by HTTP, by socket, in another tab, on another instance."""

import asyncio
import time

import jwt
import pytest

from fans import Fan, everybody_leaves


@pytest.fixture
async def chief(cluster):
    name = f"chief-{time.monotonic_ns()}"
    cluster.create_user(name, role="admin")
    return await Fan().login(cluster.instances[0], name)


async def test_an_admission_has_one_pass_that_any_site_can_check(cluster):
    one, two = cluster.instances[:2]
    event = cluster.create_event(queue=cluster.open_queue(maxActive=1))
    first, second = (Fan(token) for token in cluster.tokens(2))
    await first.connect(one)
    await first.call("join-queue", {"eventId": event})
    heard = await first.hears("queue-entry-allowed")
    asked = [await first.http(at, "POST", f"/api/queue/check/{event}") for at in (one, two, two)]
    asked.append(await first.call("join-queue", {"eventId": event}))
    tokens = {answer["entryToken"] for answer in asked} | {heard["entryToken"]}
    assert len(tokens) == 1, "one admission, one pass, wherever and however often it is asked for"
    assert {answer["expiresAt"] for answer in asked} == {heard["expiresAt"]}

    keys = jwt.PyJWKSet.from_dict(await Fan().http(two, "GET", "/.well-known/jwks.json"))
    token = tokens.pop()
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="holdfast-entry", issuer="holdfast")
    assert claims["event"] == event and claims["sub"] == "load-1"
    forged = token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, key, algorithms=["ES256"], audience="holdfast-entry")

    # It is no ticket for somebody else: the service looks at who is signed in.
    body = {"eventId": event, "seatIds": ["VIP-1-1"], "entryToken": token}
    refused = await second.http(one, "POST", "/api/seats/lock", body, expect=403)
    assert refused["code"] == "NOT_ADMITTED"
    await everybody_leaves(first)


async def test_a_socket_connected_anywhere_is_presence_for_a_place_taken_over_http(cluster):
    one, two, three = cluster.instances
    event = cluster.create_event(queue=cluster.open_queue(maxActive=1, passSeconds=8))
    first, second, third = (Fan(token) for token in cluster.tokens(3))
    await first.connect(one)
    await first.call("join-queue", {"eventId": event})
    await first.hears("queue-entry-allowed")
    await second.connect(two)
    standing = await second.http(three, "POST", f"/api/queue/check/{event}")
    assert standing["position"] == 1
    await third.http(three, "POST", f"/api/queue/check/{event}")
    # The third asks for nothing and has no socket: away. The second asks for nothing either, but is connected.
    told = await second.hears("queue-updated")
    assert told["position"] == 1
    await second.hears("queue-entry-allowed", within=12)
    await everybody_leaves(first, second)


async def test_no_way_in_goes_round_the_limits(cluster):
    entry = "queue-entry-allowed"
    event = cluster.create_event(queue=cluster.open_queue(maxActive=2, passSeconds=600))
    fans = [Fan(token) for token in cluster.tokens(6)]
    tabs = [Fan(fan.token) for fan in fans]
    for at, fan in enumerate(fans + tabs):
        await fan.connect(cluster.instances[at % 3])
    calls = [fan.call("join-queue", {"eventId": event}) for fan in fans + tabs]
    calls += [fan.http(at, "POST", f"/api/queue/check/{event}") for fan in fans for at in cluster.instances]
    places, answers = {}, await asyncio.gather(*calls)
    for answer in answers:
        assert answer["status"] in ("waiting", "admitted")

    def knows(at):
        """Whether a socket was told that its owner is in: as the answer to its own asking, or afterwards."""
        return answers[at]["status"] == "admitted" or bool((fans + tabs)[at].heard(entry))

    # Each tab of two people gets it; then there is time enough for one too many to be let in.
    async with asyncio.timeout(20):
        while sum(knows(at) and knows(at + len(fans)) for at in range(len(fans))) < 2:
            await asyncio.sleep(0.02)
    await asyncio.sleep(1.5)
    standings = [await fan.http(at, "GET", f"/api/queue/status/{event}") for fan in fans for at in cluster.instances]
    admitted = [at // 3 for at, answer in enumerate(standings) if answer["status"] == "admitted"]
    assert len(set(admitted)) == 2 and len(admitted) == 6
    for at, answer in enumerate(standings):
        if answer["status"] == "waiting":
            places.setdefault(at // 3, set()).add(answer["position"])
    assert sorted(place for own in places.values() for place in own) == [1, 2, 3, 4]
    assert {at % len(fans) for at in range(2 * len(fans)) if knows(at)} == set(admitted)
    await everybody_leaves(*fans, *tabs)


async def test_rules_change_live_and_a_change_that_is_wrong_says_where(cluster, chief):
    one, two = cluster.instances[:2]
    event = cluster.create_event(queue=cluster.open_queue(maxActive=1, passSeconds=600))
    path = f"/api/queue/admin/{event}"
    fans = [Fan(token) for token in cluster.tokens(4)]
    for fan in fans:
        await fan.connect(two)
        await fan.call("join-queue", {"eventId": event})
    await fans[0].hears("queue-entry-allowed")
    waiting = await fans[1].http(two, "GET", f"/api/queue/status/{event}")
    assert waiting["etaRange"]["low"] <= waiting["etaSeconds"] <= waiting["etaRange"]["high"]

    await chief.http(one, "PATCH", path, {"paused": True, "maxActive": 2})
    assert (await fans[1].http(two, "GET", f"/api/queue/status/{event}"))["status"] == "waiting"
    await asyncio.sleep(1.2)
    still = await fans[1].http(two, "GET", f"/api/queue/status/{event}")
    assert still["status"] == "waiting" and still["etaSeconds"] is None and "etaRange" not in still
    state = await chief.http(one, "PATCH", path, {"paused": False})
    # The next one may have gone in before the answer was read.
    assert state["maxActive"] == 2 and state["waiting"] + state["active"] == 4 and state["active"] in (1, 2)
    await fans[1].hears("queue-entry-allowed")
    await chief.http(one, "PATCH", path, {"maxActive": 3, "ratePerMinute": 6000})
    await fans[2].hears("queue-entry-allowed")

    for body, field in [
        ({"maxActive": 0}, "maxActive"), ({"ratePerMinute": 0}, "ratePerMinute"), ({"passSeconds": 0}, "passSeconds"),
        ({"paused": "yes"}, "paused"), ({"mode": "lobby"}, "mode"), ({}, "body"),
    ]:
        refused = await chief.http(one, "PATCH", path, body, expect=422)
        assert [error["field"] for error in refused["errors"]] == [field], body
    await fans[0].http(one, "PATCH", path, {"maxActive": 9}, expect=403)

    cleared = await chief.http(one, "POST", f"/api/queue/admin/clear/{event}")
    assert cleared["cleared"] == 1
    await fans[3].hears("queue-cleared")
    audit = await chief.http(one, "GET", "/api/admin/audit?limit=100")
    actions = [entry["action"] for entry in audit["entries"] if entry["facts"].get("event") == event]
    assert actions.count("admin.queue.changed") == 3 and actions.count("admin.queue.cleared") == 1
    await everybody_leaves(*fans)


async def test_a_wiped_redis_takes_back_no_turn_and_makes_no_place_worse(cluster):
    event = cluster.create_event(queue=cluster.open_queue(maxActive=40, ratePerMinute=1200, passSeconds=600))
    fans = [Fan(token) for token in cluster.tokens(60)]
    one = cluster.instances[0]
    for fan in fans:
        await fan.http(one, "POST", f"/api/queue/check/{event}")
    best, let_in = {}, set()

    async def look(at, fan):
        try:
            answer = await fan.http(cluster.instances[at % 3], "GET", f"/api/queue/status/{event}")
        except Exception as refused:
            assert getattr(refused, "status", 0) in (401, 503), refused
            return
        if answer["status"] == "admitted":
            let_in.add(at)
            return
        assert at not in let_in, f"the turn of {at} was taken back"
        assert answer["status"] == "waiting"
        assert answer["position"] <= best.get(at, 10**9), f"{at} stood at {best[at]}, and then at {answer['position']}"
        best[at] = answer["position"]

    # Redis lost as often as below lets nobody in, for it waits each time until people had the chance to report.
    async with asyncio.timeout(30):
        while not let_in:
            await asyncio.gather(*(look(at, fan) for at, fan in enumerate(fans)))
    key = f"hf:{{event:{event}}}:queue:*"
    for turn in range(24):
        if turn % 6 == 5:
            # The queue's keys alone: people stay signed in, and can look at once.
            names = cluster.redis("--raw", "KEYS", key).split()
            cluster.redis("DEL", *names)
        await asyncio.gather(*(look(at, fan) for at, fan in enumerate(fans)))
        await asyncio.sleep(0.08)
