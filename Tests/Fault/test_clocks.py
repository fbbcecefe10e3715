"""Instances and a Redis whose clocks are an hour off, or jump."""

import asyncio
import base64
import json
import time

import books
import pytest

from clocks import HOUR, Clock
from cluster import PASSWORD, Cluster, until
from crowd import Crowd, create_house
from fans import Fan, Refused, everybody_leaves
from steps import WEBHOOK_SECRET, lock, pay, reserve, tell

# What a busy machine may make of a moment; a clock would make an hour of it.
LATE = 30


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def status(fan, door, method="GET", path="/api/auth/me", body=None):
    try:
        await fan.http(door, method, path, body)
        return 200
    except Refused as refused:
        return refused.status


async def three_clocks(cluster):
    """An instance with the right clock, one an hour fast, one an hour slow."""
    others = [
        await asyncio.to_thread(lambda clock=Clock(hours): cluster.start(1, **clock.environment)) for hours in (1, -1)
    ]
    return [cluster.instances[0], *others]


async def test_with_instances_an_hour_fast_and_an_hour_slow_every_hold_lasts_as_long_as_it_says(stores):
    with Cluster(instances=1, stores=stores) as cluster:
        right, fast, slow = doors = await three_clocks(cluster)
        house = create_house(cluster, hold_seconds=6)
        holder, watcher = (Fan(token) for token in cluster.tokens(10)[8:])
        await watcher.connect(right)
        await watcher.call("join-seat-selection", {"eventId": house})
        for door in doors:
            watcher.arrived.clear()
            began = time.monotonic()
            await lock(holder, door, house, ["R-40-1"])
            await watcher.hears("seat-released", lambda data: data["seatIds"] == ["R-40-1"], within=6 + LATE)
            assert watcher.heard_at("seat-released") - began >= 6
        await everybody_leaves(watcher)
        async with Crowd(cluster, house, doors, buyers=8) as crowd:
            await crowd.orders(60)
        assert not [key for key in crowd.answers if key[2] == 401], crowd.answers
        await books.check(cluster, crowd, doors)


async def test_what_one_instance_signs_all_believe_for_as_long_as_it_says_whatever_their_clocks_show(stores):
    with Cluster(instances=1, stores=stores, ACCESS_TOKEN_TTL=20) as cluster:
        doors = await three_clocks(cluster)
        line = cluster.create_event(queue=cluster.open_queue(passSeconds=3))
        for number in range(3):
            cluster.create_user(f"fan-{number}")

        async def visit(number, door):
            fan = await Fan().login(door, f"fan-{number}")
            told, pair = claims(fan.token), fan.signed_in
            assert abs(told["iat"] - time.time()) < LATE and told["exp"] - told["iat"] in (20, 21)
            for other in doors:
                assert await status(fan, other) == 200 or time.time() > told["exp"] - 2
                pair = await Fan().http(
                    other, "POST", "/api/auth/refresh", {"refresh_token": pair["refresh_token"]}
                )
            # The entry pass says the truth to sites that have nothing but their own clock.
            standing = await until_admitted(Fan(pair["access_token"]), door, line)
            entry = claims(standing["entryToken"])
            assert abs(entry["iat"] - time.time()) < LATE and abs(entry["exp"] - time.time()) < LATE
            # Dead everywhere when it says, give or take what an instance may be wrong by.
            await asyncio.sleep(max(0, told["exp"] + 3 - time.time()))
            for other in doors:
                assert await status(fan, other) == 401, other.name

        await asyncio.gather(*(visit(number, door) for number, door in enumerate(doors)))


async def until_admitted(fan, door, event):
    deadline = time.monotonic() + 2 * LATE
    while True:
        standing = await fan.http(door, "POST", f"/api/queue/check/{event}")
        if standing["status"] == "admitted":
            return standing
        assert time.monotonic() < deadline, standing
        await asyncio.sleep(0.05)


@pytest.mark.short
async def test_a_payment_message_is_as_old_as_it_is_at_every_instance_whatever_their_clocks_show(stores):
    with Cluster(instances=1, stores=stores, PAYMENT_WEBHOOK_SECRET=WEBHOOK_SECRET) as cluster:
        doors = await three_clocks(cluster)
        event = cluster.create_event(sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 120})
        for door, token in zip(doors, cluster.tokens(3)):
            fan, seat = Fan(token), f"R-1-{doors.index(door) + 1}"
            await lock(fan, door, event, [seat])
            order = await reserve(fan, door, event, [seat])
            reservation = order["reservationId"]
            payment = (await pay(fan, door, order, "sandbox-never", expect=202))["paymentId"]
            for age in (HOUR, -HOUR):
                assert await tell(door, payment, reservation, "succeeded", at=time.time() - age) == 400
            assert await tell(door, payment, reservation, "succeeded") == 200
            mine = await fan.http(door, "GET", f"/api/reservations/{reservation}")
            assert mine["status"] == "paid"
        assert books.breaches(cluster) == []


async def test_wrong_passwords_are_counted_and_leaders_replaced_whatever_the_clocks_show(stores):
    with Cluster(instances=1, stores=stores) as cluster:
        right, fast, slow = doors = await three_clocks(cluster)
        cluster.create_user("ann")
        wrong = {"user_id": "ann", "password": "not " + PASSWORD}
        answers = [await status(Fan(), doors[turn % 3], "POST", "/api/auth/login", wrong) for turn in range(9)]
        assert answers == [401] * 9
        assert await status(Fan(), slow, "POST", "/api/auth/login", wrong | {"password": PASSWORD}) == 429
        line = cluster.create_event(queue=cluster.open_queue(passSeconds=60))
        fans = [Fan(token) for token in cluster.tokens(4)]
        # Whoever leads lets people in; each of them dies in turn.
        for fan, doomed in zip(fans, (right, fast)):
            await until_admitted(fan, slow, line)
            doomed.kill()
        for fan in fans[2:]:
            await until_admitted(fan, slow, line)


@pytest.mark.parametrize("hours", [1, -1])
async def test_with_redis_an_hour_off_sessions_holds_and_passes_last_as_long_as_they_say(stores, hours):
    with stores.redis_clock(hours), Cluster(
        instances=2, stores=stores, SESSION_TTL=12, SESSION_REFRESH_THRESHOLD=8, PAYMENT_WEBHOOK_SECRET=WEBHOOK_SECRET
    ) as cluster:
        one, two = cluster.instances
        event = cluster.create_event(
            sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 3}, queue=cluster.open_queue(passSeconds=60)
        )
        for name in ("active", "idle", "chief"):
            cluster.create_user(name, "super_admin" if name == "chief" else "user")
        active, idle = Fan(), Fan()
        # Whoever does something over their socket stays, whoever does nothing goes when it is time.
        await active.login(one, "active")
        await active.connect(two)
        began = time.monotonic()
        await idle.login(one, "idle")
        await idle.connect(two)
        while not idle.heard("(disconnected)"):
            await active.call("join-event", {"eventId": event})
            await asyncio.sleep(0.3)
            assert time.monotonic() - began < 12 + LATE, "a session outlives its time"
        assert idle.heard_at("(disconnected)") - began >= 12, "and not before"
        # Longer than a session lives if nobody uses it.
        until_then = time.monotonic() + 14
        while time.monotonic() < until_then:
            await active.call("join-event", {"eventId": event})
            await asyncio.sleep(0.3)
        assert active.heard("(disconnected)") == [] and await status(active, one) == 200
        # Administrators see who is here.
        chief = await Fan().login(two, "chief")
        shown = await chief.http(one, "GET", "/api/session/all")
        assert {session["user_id"] for session in shown["sessions"]} >= {"active", "chief"}
        assert (await chief.http(one, "GET", "/api/session/stats"))["total_sessions"] >= 2

        await until_admitted(chief, one, event)
        await lock(chief, one, event, ["R-1-1"])
        order = await reserve(chief, two, event, ["R-1-1"])
        payment = (await pay(chief, one, order, "sandbox-never", expect=202))["paymentId"]
        assert await tell(two, payment, order["reservationId"], "succeeded") == 200
        began, seats = time.monotonic(), f"/api/events/{event}/seats"
        await lock(chief, one, event, ["R-1-2"])

        async def state():
            shown = (await chief.http(two, "GET", seats))["seats"]
            return next(seat["status"] for seat in shown if seat["id"] == "R-1-2")

        while await state() == "locked":
            assert time.monotonic() - began < 3 + LATE
            await asyncio.sleep(0.1)
        assert time.monotonic() - began >= 3
        assert books.breaches(cluster) == []
        await everybody_leaves(active)


async def test_redis_clock_that_jumps_an_hour_forward_and_back_in_a_sale_sells_nothing_twice(stores):
    with stores.redis_clock() as clock, Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster)
        line = cluster.create_event(queue=cluster.open_queue(maxActive=1, passSeconds=600))
        first = Fan(cluster.tokens(15)[14])
        await until_admitted(first, cluster.instances[0], line)
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            async with Crowd(cluster, line, cluster.instances, buyers=0, queuers=6) as waiting:
                await crowd.orders(20)
                clock.set(1)  # The first pass ends before its time, and the next in line goes in.
                await crowd.orders(20)
                await asyncio.to_thread(until, lambda: 0 in waiting.best.values(), 20, "the next going in")
                clock.set(0)
                await crowd.orders(20)
        await books.check(cluster, crowd)
        assert waiting.breaches == [], "nobody was overtaken, and nobody's place got worse"
        # It may have held people up, but not for an hour: somebody new is let in and buys.
        fresh = cluster.create_event(queue=cluster.open_queue())
        await until_admitted(first, cluster.instances[1], fresh)
        await lock(first, cluster.instances[1], fresh, ["R-1-1"])
        await reserve(first, cluster.instances[0], fresh, ["R-1-1"])
