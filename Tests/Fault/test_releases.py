"""Two releases of the service side by side, on one PostgreSQL and one Redis."""

import asyncio
import os
from collections import Counter

import books
import pytest

from cluster import Cluster
from crowd import Crowd, create_house
from fans import Fan, assert_gapless, everybody_leaves
from steps import lock, reserve

# Whose messages are told apart; sockets have a channel of their own kind.
KINDS = ("seats", "queue", "newcomers", "sessions", "accounts")

# What a later release might say, and what none ever would.
UNKNOWN = [
    "", "?", "{}", "null", '{"v":99,"kind":"from-the-future"}', "Z1\n{}", "q99999999999999999999\n{}", "l", "l1", "x\n\n",
    '{"v":2,"user":"load-1","handle":"' + "A" * 43 + '","reason":"admin"}', "left 3f2c load-1", "gone load-1",
    "9:" + "x" * 4_000, "\u0001\u0002", "[1,2,3]", '"text"',
]


async def test_messages_of_another_release_are_passed_over(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster, hold_seconds=60)
        line = cluster.create_event(queue=cluster.open_queue(maxActive=1))
        fans = [Fan(token) for token in cluster.tokens(4)]
        await fans[0].http(cluster.instances[0], "GET", f"/api/events/{event}/seats")
        for number, fan in enumerate(fans):
            await fan.connect(cluster.instances[number % 2])
            await fan.call("join-event", {"eventId": event})
            await fan.call("join-seat-selection", {"eventId": event})
            await fan.call("join-queue", {"eventId": line})
        channels = {
            channel: publish
            for listed, publish in (("CHANNELS", "PUBLISH"), ("SHARDCHANNELS", "SPUBLISH"))
            for channel in cluster.redis("PUBSUB", listed).split()
        }
        assert len(channels) >= 6, channels
        for number, text in enumerate(UNKNOWN, start=1):
            for channel, publish in channels.items():
                cluster.redis(publish, channel, text)
            # What this release says goes on arriving, in order and without a gap.
            seat = f"R-1-{number}"
            await fans[0].call("seat-selection-changed", {"eventId": event, "seats": [seat]})
            for fan in fans:
                await fan.hears("seat-locked", lambda data: data["seatIds"] == [seat])
        for fan in fans:
            assert_gapless(fan)
            assert fan.heard("(disconnected)") == []
        # And it can be seen that something was not understood.
        passed = Counter()
        for instance in cluster.instances:
            for line in (await fans[0].http(instance, "GET", "/metrics")).splitlines():
                name, _, value = line.partition(" ")
                if name.startswith(("holdfast_messages_passed_over_total{", "socketio_adapter_malformed_total")):
                    passed[name] += float(value)
            assert "a message of another release was passed over" in instance.log.read_text()
        expected = {f'holdfast_messages_passed_over_total{{channel="{name}"}}' for name in KINDS}
        assert set(passed) == expected | {"socketio_adapter_malformed_total"}, passed
        assert min(passed.values()) >= len(UNKNOWN), passed
        # A person ends their session: every instance hears of it.
        await fans[3].http(cluster.instances[0], "POST", "/api/auth/logout")
        await fans[3].hears("(disconnected)", within=10)
        await everybody_leaves(*fans)


@pytest.mark.short
async def test_fields_that_this_release_does_not_know_change_nothing(stores):
    with Cluster(instances=1, stores=stores) as cluster:
        event, door = create_house(cluster), cluster.instances[0]
        fan = Fan(cluster.tokens(1)[0])
        future = {"fromTheFuture": {"deep": [1, 2, 3]}}
        await fan.http(door, "POST", "/api/seats/lock", {"eventId": event, "seatIds": ["R-1-1"]} | future)
        await fan.connect(door)
        await fan.call("join-seat-selection", {"eventId": event} | future)
        await fan.call("seat-selection-changed", {"eventId": event, "seats": ["R-1-2"]} | future)
        await reserve(fan, door, event, ["R-1-2"])
        await everybody_leaves(fan)


async def test_a_migration_that_adds_goes_in_under_a_running_sale(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster)
        tables = cluster.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            await crowd.orders(10)
            for table in tables:
                await asyncio.to_thread(
                    cluster.sql, f"SET lock_timeout = '5s'; ALTER TABLE {table} ADD COLUMN next_release text DEFAULT 'x'"
                )
            await crowd.orders(20)
        assert not any(status >= 500 for _, _, status, _ in crowd.answers), crowd.answers
        await books.check(cluster, crowd)


async def test_an_upgrade_one_instance_at_a_time_keeps_the_sale_going(stores):
    """HOLDFAST_NEXT_BINARY names the other release; without it the same one takes its own place."""
    following = os.environ.get("HOLDFAST_NEXT_BINARY", os.environ["HOLDFAST_BINARY"])
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster)
        holder = Fan(cluster.tokens(9)[8])
        keeps = create_house(cluster, hold_seconds=120)
        await lock(holder, cluster.instances[0], keeps, ["R-1-1"])
        doors = list(cluster.instances)
        async with Crowd(cluster, event, doors, buyers=8) as crowd:
            for number, leaving in enumerate(list(doors)):
                await crowd.orders(10)
                cluster.binary = following
                if number == 0:
                    await asyncio.to_thread(cluster.migrate)
                assert await asyncio.to_thread(leaving.terminate) == 0
                doors[number] = await asyncio.to_thread(cluster.start, 1, leaving.port)
            await crowd.orders(10)
        await books.check(cluster, crowd)
        await reserve(holder, doors[1], keeps, ["R-1-1"])
