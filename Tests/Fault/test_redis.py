"""Redis wiped, away, brought back from an old file, deaf, or replaced by a replica that lagged behind."""

import asyncio
import threading
import time

import books
import pytest

from cluster import Cluster
from crowd import Crowd, create_house
from fans import Fan, assert_gapless, everybody_leaves, seat_messages
from steps import lock, reserve, returns
from wire import Wire


async def test_redis_wiped_in_the_middle_of_a_sale_costs_nobody_an_order_or_a_place(stores):
    with Cluster(instances=3, stores=stores) as cluster:
        event = create_house(cluster)
        line = cluster.create_event(queue=cluster.open_queue(maxActive=1, passSeconds=600))
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            async with Crowd(cluster, line, cluster.instances, buyers=0, queuers=12) as waiting:
                for _ in range(3):
                    await crowd.orders(15)
                    cluster.redis("FLUSHALL")
                await crowd.orders(15)
        await books.check(cluster, crowd)
        assert waiting.breaches == []


@pytest.mark.short
async def test_a_hold_of_before_a_wipe_buys_nothing_that_was_granted_since(stores):
    with Cluster(instances=1, stores=stores) as cluster, Wire(cluster.redis_url) as wire:
        far = cluster.start(1, REDIS_URL=wire.through(cluster.environment["REDIS_URL"]))
        near = cluster.instances[0]
        event = cluster.create_event()
        late, quick = (Fan(token) for token in cluster.tokens(2))
        # Several grants, so that the number of the old hold is higher than those that follow the wipe.
        for seat in ("R-1-3", "R-1-2", "R-1-1"):
            await lock(late, far, event, [seat])
        # Redis' answer that the seats are held is on its way for as long as the wipe takes.
        stalled, go_on = threading.Event(), threading.Event()

        def stall(piece):
            if b"R-1-1" in piece and not stalled.is_set():
                stalled.set()
                go_on.wait(10)
            return True

        wire.passes = stall
        order = asyncio.create_task(reserve(late, far, event, ["R-1-1"], expect=409))
        assert await asyncio.to_thread(stalled.wait, 10)
        forget = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end"
        cluster.redis("EVAL", forget, "0", f"*{event}*")
        await lock(quick, near, event, ["R-1-1"])
        go_on.set()
        await order
        await reserve(quick, near, event, ["R-1-1"])
        assert books.breaches(cluster) == []


@pytest.mark.short
async def test_somebody_let_in_while_redis_fails_is_told_so_when_it_is_back(stores):
    with Cluster(instances=0, stores=stores) as cluster, Wire(cluster.redis_url) as wire:
        instance = cluster.start(1, REDIS_URL=wire.through(cluster.environment["REDIS_URL"]))
        event = cluster.create_event(queue=cluster.open_queue())
        cuts = []

        def cut(piece):
            # Redis' answer to keeping the entry pass, a JWT, is lost twice.
            if b"eyJ" in piece and len(cuts) < 2:
                cuts.append(piece)
                return False
            return True

        [token] = cluster.tokens(1)
        wire.passes = cut
        fan = Fan(token)
        await fan.connect(instance)
        await fan.call("join-queue", {"eventId": event})
        allowed = await fan.hears("queue-entry-allowed", within=60)
        assert len(cuts) == 2 and allowed["entryToken"]
        await everybody_leaves(fan)


async def test_redis_killed_and_started_from_an_old_file_sells_no_seat_twice(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster)
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            await crowd.orders(20)
            stores.keep_redis_file()
            await crowd.orders(40)
            stores.crash("redis")
            stores.bring_back_redis_file()
            stores.again("redis")
            await crowd.orders(40)
        # The maps of all instances as well: nobody had to rebuild them.
        await books.check(cluster, crowd)


async def test_while_redis_is_away_sockets_stay_and_all_returns_by_itself_within_two_seconds(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster, hold_seconds=60)
        watchers = [Fan(token) for token in cluster.tokens(12)[8:]]
        for number, watcher in enumerate(watchers):
            await watcher.connect(cluster.instances[number % 2])
            await watcher.call("join-seat-selection", {"eventId": event})
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            await crowd.orders(10)
            await asyncio.to_thread(stores.crash, "redis")
            # The pauses between attempts to connect have grown to their longest by then.
            await asyncio.sleep(8)
            assert not any(instance.is_ready() for instance in cluster.instances)
            await asyncio.to_thread(stores.again, "redis")
            await returns(cluster, cluster.tokens(12)[0])
            await crowd.orders(10)
        assert any(status == 503 for _, _, status, _ in crowd.answers), "it was away"
        await books.check(cluster, crowd)
        assert [watcher.heard("(disconnected)") for watcher in watchers] == [[]] * 4, "sockets stay"
        # The same sockets, without a word of theirs, hear what happens now.
        seat = next(s for s in crowd.seats if cluster.sql(FREE.format(event=event, seat=s)) == ["t"])
        await watchers[0].call("seat-selection-changed", {"eventId": event, "seats": [seat]})
        for watcher in watchers:
            await watcher.hears("seat-locked", lambda data: data["seatIds"] == [seat])
            # It was started anew, so the event has begun another life. Every socket is told, twice if its instance hears
            # of it and finds it in the log.
            assert_gapless(watcher, resets=2)
        assert cluster.sql(f"SELECT epoch FROM seat_epochs WHERE event_id = '{event}'") == ["2"], "one other life"
        await everybody_leaves(*watchers)


async def test_redis_stopped_for_half_a_minute_in_a_sale_costs_nothing_but_that_time(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster, hold_seconds=60)
        watcher = await Fan(cluster.tokens(10)[9]).connect(cluster.instances[0])
        await watcher.call("join-seat-selection", {"eventId": event})
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            await crowd.orders(10)
            # It answers nothing, and closes no connection: only time tells that it is away.
            with stores.stopped("redis"):
                await asyncio.sleep(30)
                assert not any(instance.is_ready() for instance in cluster.instances)
            await returns(cluster, cluster.tokens(10)[0])
            await crowd.orders(10)
        assert any(status == 503 for _, _, status, _ in crowd.answers), "it was away"
        await books.check(cluster, crowd)
        assert watcher.heard("(disconnected)") == [], "sockets stay"
        await everybody_leaves(watcher)


FREE = "SELECT NOT EXISTS (SELECT FROM seat_claims WHERE live AND event_id = '{event}' AND seat_id = '{seat}')"


async def test_a_seat_map_misses_no_message_while_subscriptions_are_killed_over_and_over(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster, hold_seconds=60)
        tokens = cluster.tokens(12)
        watchers = [Fan(token) for token in tokens[8:]]
        # The state of the seats begins with the first look at them.
        await watchers[0].http(cluster.instances[0], "GET", f"/api/events/{event}/seats")
        for number, watcher in enumerate(watchers):
            await watcher.connect(cluster.instances[number % 2])
            await watcher.call("join-seat-selection", {"eventId": event})
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            for _ in range(8):
                await asyncio.sleep(1)
                assert int(cluster.redis("CLIENT", "KILL", "TYPE", "pubsub")) >= 1
        await books.check(cluster, crowd)
        # One more message tells that all before it have arrived.
        seat = next(s for s in crowd.seats if cluster.sql(FREE.format(event=event, seat=s)) == ["t"])
        await watchers[0].call("seat-selection-changed", {"eventId": event, "seats": [seat]})
        for watcher in watchers:
            await watcher.hears("seat-locked", lambda data: data["seatIds"] == [seat])
            assert watcher.heard("seats-reset") == []
            assert_gapless(watcher)
        assert len({tuple(seat_messages(watcher)[-20:]) for watcher in watchers}) == 1, "all saw the same"
        await everybody_leaves(*watchers)


async def test_a_replica_promoted_behind_a_partition_sells_no_seat_twice(stores):
    with Cluster(instances=0, stores=stores) as cluster, Wire(cluster.redis_url) as wire:
        cluster.environment["REDIS_URL"] = wire.through(cluster.environment["REDIS_URL"])
        await asyncio.to_thread(cluster.start, 2)
        event = create_house(cluster)
        with stores.replica() as replica:
            async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
                await crowd.orders(30)
                # Promoted while the old primary goes on: what that acknowledges from now on is lost.
                replica.promote()
                await crowd.orders(30)
                wire.target = replica.address
                wire.cut_all()
                began = time.monotonic()
                await crowd.orders(30)
                assert time.monotonic() - began < 30
            await books.check(cluster, crowd)
