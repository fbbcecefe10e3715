"""Instances that are killed, or that sleep."""

import asyncio
import contextlib
import random
import signal
import time
import uuid

import books
import pytest

from cluster import Cluster, until
from crowd import Crowd, create_house
from fans import Fan, Refused
from session import Session
from steps import COMMITTED, lock, pay, reserve
from wire import Wire


async def test_instances_killed_at_random_moments_of_ordering_and_paying_lose_nothing_but_their_sockets(stores):
    with Cluster(instances=3, stores=stores) as cluster:
        event = create_house(cluster)
        line = cluster.create_event(queue=cluster.open_queue(maxActive=1, passSeconds=600))
        chance, doors = random.Random(6), list(cluster.instances)
        async with Crowd(cluster, event, doors, buyers=8) as crowd:
            async with Crowd(cluster, line, doors, buyers=0, queuers=6) as waiting:
                for round in range(6):
                    await crowd.orders(8)
                    await asyncio.sleep(chance.uniform(0, 0.1))
                    doomed = doors[round % 3]
                    doomed.kill()
                    await asyncio.sleep(0.5)
                    doors[round % 3] = await asyncio.to_thread(cluster.start, 1, doomed.port)
        await books.check(cluster, crowd)
        assert waiting.breaches == []


@contextlib.asynccontextmanager
async def one_to_kill(stores, hold_seconds):
    """Two instances. One stays; the words of the other with PostgreSQL go over a wire, and a buyer holds R-1-1 there.

    The first one leads and the second only serves, so that every commit on the wire is a request's.
    """
    with Cluster(instances=1, stores=stores) as cluster, Wire(cluster.database_url) as wire:
        other = cluster.instances[0]
        doomed = await asyncio.to_thread(
            lambda: cluster.start(1, DATABASE_URL=wire.through(cluster.environment["DATABASE_URL"]))
        )
        event = cluster.create_event(sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": hold_seconds})
        buyer, rival = (Fan(token) for token in cluster.tokens(2))
        await lock(buyer, doomed, event, ["R-1-1"])
        yield cluster, wire, other, doomed, event, buyer, rival


@pytest.mark.short
async def test_an_instance_killed_between_commit_and_telling_redis_leaves_no_seat_open(stores):
    async with one_to_kill(stores, hold_seconds=30) as (cluster, wire, other, doomed, event, buyer, rival):

        def kill_after_commit(piece):
            if COMMITTED not in piece or cluster.sql("SELECT count(*) FROM reservations") == ["0"]:
                return True
            doomed.kill()
            return False

        wire.passes = kill_after_commit
        order = asyncio.create_task(reserve(buyer, doomed, event, ["R-1-1"]))
        await asyncio.to_thread(until, lambda: doomed.process.poll() is not None, what="the instance dying")
        results = await asyncio.gather(order, return_exceptions=True)
        assert isinstance(results[0], Exception), "nobody was told"

        def shown():
            seats = asyncio.run(rival.http(other, "GET", f"/api/events/{event}/seats"))["seats"]
            return next(seat["status"] for seat in seats if seat["id"] == "R-1-1")

        await asyncio.to_thread(until, lambda: shown() == "reserved", 5, "the seat shown as sold")
        await lock(rival, other, event, ["R-1-1"], expect=409)
        mine = await buyer.http(other, "GET", "/api/reservations/my")
        await pay(buyer, other, mine["reservations"][0])
        assert books.breaches(cluster) == []


# Who is at work, whether its commit is on the way there or back, and which commit of theirs it is.
STEPS = {
    "the order is not committed": (reserve, "there", 1),
    "the order is committed and nobody is told": (reserve, "back", 1),
    "the payment is not begun": (pay, "there", 1),
    "the payment is begun and the provider not asked": (pay, "back", 1),
    "the provider has paid and that is not committed": (pay, "there", 2),
    "the payment is committed and nobody is told": (pay, "back", 2),
}


@pytest.mark.parametrize("step", STEPS)
async def test_an_instance_killed_at_any_step_leaves_an_order_that_another_finishes_once(stores, step):
    work, way, count = STEPS[step]
    async with one_to_kill(stores, hold_seconds=120) as (cluster, wire, other, doomed, event, buyer, rival):
        key, seen = str(uuid.uuid4()), []

        def kill_at(commit):
            def look(piece):
                if commit not in piece:
                    return True
                seen.append(piece)
                if len(seen) < count:
                    return True
                doomed.kill()
                return False

            return look

        def arm():
            if way == "there":
                wire.sends = kill_at(b"COMMIT")
            else:
                wire.passes = kill_at(COMMITTED)

        if work is reserve:
            arm()
            answer = asyncio.create_task(reserve(buyer, doomed, event, ["R-1-1"], key=key))
        else:
            order = await reserve(buyer, doomed, event, ["R-1-1"], key=key)
            arm()
            answer = asyncio.create_task(pay(buyer, doomed, order))
        await asyncio.to_thread(until, lambda: doomed.process.poll() is not None, what="the instance dying")
        results = await asyncio.gather(answer, return_exceptions=True)
        assert isinstance(results[0], Exception), "nobody was told"

        # The same request again, elsewhere, as a careful client does.
        order = await reserve(buyer, other, event, ["R-1-1"], key=key)
        status = f"SELECT status FROM reservations WHERE id = '{order['reservationId']}'"
        deadline = time.monotonic() + 40
        while cluster.sql(status) != ["paid"]:
            assert time.monotonic() < deadline, cluster.sql("SELECT * FROM payments")
            with contextlib.suppress(Refused):
                await pay(buyer, other, order)
            await asyncio.sleep(0.2)
        await lock(rival, other, event, ["R-1-1"], expect=409)
        assert cluster.sql("SELECT count(*) FROM reservations") == ["1"], "one order"
        assert cluster.sql("SELECT count(*) FROM payments WHERE status = 'succeeded'") == ["1"], "paid once"
        assert books.breaches(cluster) == []


@pytest.mark.short
async def test_an_instance_stopped_past_its_holds_life_sells_nothing_that_another_bought_since(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        event = cluster.create_event(sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 3})
        sleeper, awake = cluster.instances
        late, quick = (Fan(token) for token in cluster.tokens(2))
        with Session(cluster) as session:
            # The order stops where Redis has said that the seat is held and PostgreSQL has not been asked.
            session.lock(f"hf:seats:buyer:{event}:load-1")
            await lock(late, sleeper, event, ["R-1-1"])
            order = asyncio.create_task(reserve(late, sleeper, event, ["R-1-1"], expect=409))
            waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            await asyncio.to_thread(until, lambda: cluster.sql(waits), what="the order waiting")
            sleeper.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(3.2)
            # Meanwhile the seat is granted to another, sold, and given back: no claim stands in the way.
            await lock(quick, awake, event, ["R-1-1"])
            bought = await reserve(quick, awake, event, ["R-1-1"])
            await quick.http(awake, "POST", f"/api/reservations/{bought['reservationId']}/cancel")
        sleeper.process.send_signal(signal.SIGCONT)
        await order
        assert books.breaches(cluster) == []


async def test_instances_that_sleep_for_seconds_in_the_middle_of_a_sale_sell_nothing_twice(stores):
    with Cluster(instances=3, stores=stores) as cluster:
        event = create_house(cluster, hold_seconds=2)
        async with Crowd(cluster, event, cluster.instances, buyers=9) as crowd:
            for instance in cluster.instances:
                await crowd.orders(5)
                instance.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(4)
                instance.process.send_signal(signal.SIGCONT)
            await crowd.orders(10)
        await books.check(cluster, crowd)
