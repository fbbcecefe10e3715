"""Instances that die, a Redis that is wiped, an instance that is asked to leave."""

import asyncio
import uuid

from cluster import Cluster
from fans import Fan, assert_gapless, everybody_leaves


async def test_an_instance_killed_mid_sale_loses_nothing_but_its_sockets():
    with Cluster(instances=3) as cluster:
        event = cluster.create_event(
            queue=cluster.open_queue(), sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 6}
        )
        doomed, safe, _ = cluster.instances
        holder, buyer, watcher = (Fan(token) for token in cluster.tokens(3))
        await holder.connect(doomed)
        await buyer.connect(doomed)
        await watcher.connect(safe)
        for fan in (holder, buyer, watcher):
            await fan.call("join-queue", {"eventId": event})
            await fan.hears("queue-entry-allowed")
            await fan.call("join-seat-selection", {"eventId": event})
        await holder.call("seat-selection-changed", {"eventId": event, "seats": ["R-1-1"]})
        await buyer.call("seat-selection-changed", {"eventId": event, "seats": ["R-1-2"]})
        reservation = await buyer.http(
            doomed, "POST", "/api/reservations", {"eventId": event, "seatIds": ["R-1-2"]}, expect=201,
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
        doomed.kill()
        await asyncio.gather(holder.hears("(disconnected)"), buyer.hears("(disconnected)"))

        await buyer.connect(safe)
        restored = await buyer.hears("session-restored", within=1)
        assert restored["seatEventId"] == event
        paid = await buyer.http(
            safe, "POST", "/api/payments/process",
            {"reservationId": reservation["reservationId"], "paymentMethod": "sandbox"},
        )
        assert paid["reservation"]["status"] == "paid"
        # The holder stays away: nobody of their instance is left, and still the hold ends on time for everybody.
        await watcher.hears("seat-released", lambda data: data["seatIds"] == ["R-1-1"], within=10)
        assert_gapless(watcher)
        assert cluster.sql("SELECT count(*) FROM reservations WHERE status = 'paid'") == ["1"]
        await everybody_leaves(buyer, watcher)


async def test_a_seat_is_not_sold_twice_even_if_redis_is_wiped_in_between():
    with Cluster(instances=2) as cluster:
        event = cluster.create_event()
        one, two = cluster.instances
        first, second, third = (Fan(token) for token in cluster.tokens(3))

        async def lock(fan, seat, expect=200):
            return await fan.http(
                one, "POST", "/api/seats/lock", {"eventId": event, "seatIds": [seat]}, expect=expect
            )

        async def reserve(fan, instance, seat, expect):
            return await fan.http(
                instance, "POST", "/api/reservations", {"eventId": event, "seatIds": [seat]}, expect=expect,
                headers={"Idempotency-Key": str(uuid.uuid4())},
            )

        await lock(first, "VIP-1-1")
        sold = await reserve(first, one, "VIP-1-1", 201)
        await lock(second, "VIP-1-2")
        cluster.redis("FLUSHDB")
        # Sessions went with Redis: tokens of before are worthless, never waved through.
        await first.http(one, "GET", "/api/auth/me", expect=401)
        first.token, second.token, third.token = cluster.tokens(3)
        # What PostgreSQL knows is back before anybody can take it again.
        await lock(third, "VIP-1-1", expect=409)
        # The hold of before is gone, so it buys nothing; whoever takes the seat now does.
        await reserve(second, two, "VIP-1-2", 409)
        await lock(third, "VIP-1-2")
        await reserve(third, two, "VIP-1-2", 201)
        await first.http(
            two, "POST", "/api/payments/process",
            {"reservationId": sold["reservationId"], "paymentMethod": "sandbox"},
        )
        doubles = "SELECT event_id, seat_id FROM seat_claims WHERE live GROUP BY 1, 2 HAVING count(*) > 1"
        assert cluster.sql(doubles) == []


async def test_the_queue_keeps_its_order_when_redis_is_wiped():
    with Cluster(instances=2) as cluster:
        event = cluster.create_event(queue=cluster.open_queue(maxActive=1))
        count = 5
        fans = [Fan(token) for token in cluster.tokens(count)]
        for fan in fans:
            await fan.http(cluster.instances[0], "POST", f"/api/queue/check/{event}")
        cluster.redis("FLUSHDB")
        for fan, token in zip(fans, cluster.tokens(count)):
            fan.token = token
        for index, fan in reversed(list(enumerate(fans))):
            await fan.connect(cluster.instances[index % 2])
            standing = await fan.call("join-queue", {"eventId": event})
            if standing["status"] == "waiting":
                assert standing["position"] <= index + 1, "a place in the queue never gets worse"
        turn = []
        for fan in fans:
            await fan.hears("queue-entry-allowed", within=10)
            turn.append(fan.heard_at("queue-entry-allowed"))
            await fan.call("leave-queue", {"eventId": event})
        assert turn == sorted(turn)
        await everybody_leaves(*fans)


async def test_sigterm_drains_and_exits_with_zero_and_the_people_are_restored_elsewhere():
    with Cluster(instances=2) as cluster:
        event = cluster.create_event()
        leaving, staying = cluster.instances
        fans = [Fan(token) for token in cluster.tokens(5)]
        for fan in fans:
            await fan.connect(leaving)
            await fan.call("join-seat-selection", {"eventId": event})
        await fans[0].call("seat-selection-changed", {"eventId": event, "seats": ["R-3-3"]})
        status = asyncio.create_task(asyncio.to_thread(leaving.terminate))
        told = [await fan.hears("server-draining") for fan in fans]
        assert len({data["reconnectAfterMs"] for data in told}) > 1, "each client another moment"
        for fan in fans:
            await fan.hears("(disconnected)", within=25)
        assert await status == 0
        await fans[0].connect(staying)
        restored = await fans[0].hears("session-restored")
        assert restored["selectedSeats"] == ["R-3-3"]
        await everybody_leaves(fans[0])
