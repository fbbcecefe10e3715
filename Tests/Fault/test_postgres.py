"""PostgreSQL crashed and started again, and connections that are cut where the outcome cannot be known."""

import asyncio
import random
import uuid

import books
import pytest

from cluster import Cluster
from crowd import Crowd, create_house
from fans import Fan, Refused, everybody_leaves
from steps import COMMITTED, lock, reserve, returns
from wire import Wire


async def test_postgresql_crashed_in_the_middle_of_a_sale_keeps_all_it_acknowledged(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster)
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            for _ in range(2):
                await crowd.orders(20)
                await asyncio.to_thread(stores.crash, "postgres")
                await asyncio.to_thread(stores.again, "postgres")
            await crowd.orders(20)
        await books.check(cluster, crowd)


async def test_while_postgresql_is_away_sockets_stay_and_all_returns_by_itself_within_two_seconds(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = create_house(cluster, hold_seconds=60)
        tokens = cluster.tokens(9)
        watcher = await Fan(tokens[8]).connect(cluster.instances[0])
        await watcher.call("join-seat-selection", {"eventId": event})
        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            await crowd.orders(10)
            await asyncio.to_thread(stores.crash, "postgres")
            # The pauses between attempts to connect have grown to their longest by then.
            await asyncio.sleep(8)
            assert not any(instance.is_ready() for instance in cluster.instances)
            await asyncio.to_thread(stores.again, "postgres")
            await returns(cluster, tokens[0])
            await crowd.orders(10)
        assert any(status == 503 for _, _, status, _ in crowd.answers), "it was away"
        await books.check(cluster, crowd)
        assert watcher.heard("(disconnected)") == [], "sockets stay"
        await everybody_leaves(watcher)


@pytest.mark.short
async def test_an_order_whose_commit_was_cut_off_is_found_again_under_its_key(stores):
    with Cluster(instances=0, stores=stores) as cluster, Wire(cluster.database_url) as wire:
        through = wire.through(cluster.environment["DATABASE_URL"])
        instance = await asyncio.to_thread(lambda: cluster.start(1, DATABASE_URL=through))
        event = cluster.create_event()
        fan = Fan(cluster.tokens(1)[0])
        await lock(fan, instance, event, ["R-1-1", "R-1-2"])
        cuts = []

        def cut_once(piece):
            # Only a commit that made an order, not one of the sweepers'.
            if cuts or COMMITTED not in piece or cluster.sql("SELECT count(*) FROM reservations") == ["0"]:
                return True
            cuts.append(piece)
            return False

        wire.passes = cut_once
        key = str(uuid.uuid4())
        try:
            await reserve(fan, instance, event, ["R-1-1", "R-1-2"], key=key)
            raise AssertionError("an order whose outcome is unknown was acknowledged")
        except Refused as refusal:
            assert refusal.status == 503
        found = await reserve(fan, instance, event, ["R-1-1", "R-1-2"], key=key)
        assert cluster.sql("SELECT id FROM reservations") == [found["reservationId"]], "one order, and it is this one"
        assert books.breaches(cluster) == []


async def test_connections_cut_at_commit_over_and_over_lose_and_double_nothing(stores):
    with Cluster(instances=0, stores=stores) as cluster, Wire(cluster.database_url) as wire:
        through = wire.through(cluster.environment["DATABASE_URL"])
        await asyncio.to_thread(lambda: cluster.start(2, DATABASE_URL=through))
        event = create_house(cluster)
        chance, cuts = random.Random(6), []

        def cut_some(piece):
            if COMMITTED in piece and chance.random() < 0.08:
                cuts.append(1)
                return False
            return True

        async with Crowd(cluster, event, cluster.instances, buyers=8) as crowd:
            wire.passes = cut_some
            await crowd.orders(120)
            wire.passes = lambda piece: True
        assert len(cuts) >= 5, "connections were cut"
        await books.check(cluster, crowd)
