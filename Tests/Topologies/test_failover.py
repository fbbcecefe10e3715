"""Whole instances on Sentinel, on a cluster, and on a Redis that comes back from an old file."""

import asyncio
import shutil
import signal
import time
import uuid

import pytest

from cluster import until
from fans import Fan, Refused, everybody_leaves


async def patiently(action, seconds=20):
    """Repeats what is answered 503, or not at all, as the answer's Retry-After asks."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await action()
        except (Refused, AssertionError, asyncio.TimeoutError) as refusal:
            if time.monotonic() > deadline or (isinstance(refusal, Refused) and refusal.status != 503):
                raise
            await asyncio.sleep(0.2)


async def lock(fan, instance, event, seat, expect=200):
    return await fan.http(instance, "POST", "/api/seats/lock", {"eventId": event, "seatIds": [seat]}, expect=expect)


async def buy(fan, instance, event, seat):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    order = {"eventId": event, "seatIds": [seat]}
    reservation = await patiently(
        lambda: fan.http(instance, "POST", "/api/reservations", order, expect=201, headers=key)
    )
    paid = await patiently(lambda: fan.http(
        instance, "POST", "/api/payments/process",
        {"reservationId": reservation["reservationId"], "paymentMethod": "sandbox"},
    ))
    assert paid["reservation"]["status"] == "paid"


async def statuses(fan, instance, event):
    seats = await patiently(lambda: fan.http(instance, "GET", f"/api/events/{event}/seats"))
    return {seat["id"]: seat["status"] for seat in seats["seats"]}


def epoch(cluster, event):
    found = cluster.sql(f"SELECT epoch FROM seat_epochs WHERE event_id = '{event}'")
    return int(found[0]) if found else 0


def life(cluster, event):
    return cluster.sql(f"SELECT replication_id FROM redis_lives WHERE event_id = '{event}'")


@pytest.mark.parametrize("fault", ["killed", "frozen", "ordered"])
@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
async def test_a_sale_goes_on_when_the_primary_is(start, kind, fault):
    topology, cluster = start(kind)
    one, two = cluster.instances
    event = cluster.create_event(queue=cluster.open_queue(maxActive=3))
    fans = [Fan(token) for token in cluster.tokens(6)]
    for index, fan in enumerate(fans):
        await fan.connect(cluster.instances[index % 2])
        await fan.call("join-queue", {"eventId": event})
    for fan in fans[:3]:
        await fan.hears("queue-entry-allowed")
        await fan.call("join-seat-selection", {"eventId": event})
    buyer, holder, watcher = fans[:3]
    await lock(buyer, one, event, "VIP-1-1")
    await buy(buyer, two, event, "VIP-1-1")
    before = epoch(cluster, event)
    [history] = until(lambda: life(cluster, event), 10, "the history being noted")
    order = cluster.sql(f"SELECT user_id FROM queue_entries WHERE event_id = '{event}' ORDER BY qseq")

    key = f"hf:{{event:{event}}}:seats:meta"
    port = topology.primary(key)
    match fault:
        case "killed": topology.signal(port, signal.SIGKILL)
        case "frozen": topology.signal(port, signal.SIGSTOP)
        case "ordered": topology.failover(key)
    gone = time.monotonic()
    until(lambda: life(cluster, event) not in ([], [history]), 30, "the failover being noticed")
    print(f"{kind} {fault}: noticed and rebuilt after {time.monotonic() - gone:.1f} s")
    assert epoch(cluster, event) > before

    seats = await statuses(holder, one, event)
    assert seats["VIP-1-1"] == "reserved"
    # Whoever listened is told that messages may be missing, by the new primary or for the lost connection.
    await watcher.hears("seats-reset", within=20)
    await patiently(lambda: lock(holder, one, event, "VIP-1-2"))
    # Pub/Sub has moved as well: what happens on one instance is heard on the other.
    await watcher.hears("seat-locked", lambda data: data["seatIds"] == ["VIP-1-2"])
    await patiently(lambda: lock(watcher, two, event, "VIP-1-1", expect=409))
    await buy(holder, one, event, "VIP-1-2")
    assert cluster.sql(f"SELECT user_id FROM queue_entries WHERE event_id = '{event}' ORDER BY qseq") == order
    doubles = "SELECT event_id, seat_id FROM seat_claims WHERE live GROUP BY 1, 2 HAVING count(*) > 1"
    assert cluster.sql(doubles) == []
    if fault == "frozen":
        topology.signal(port, signal.SIGCONT)
    await everybody_leaves(*fans)


async def test_slots_that_move_during_a_sale_cost_nobody_a_hold(start):
    topology, cluster = start("cluster")
    one, two = cluster.instances
    event = cluster.create_event()
    holder, other = (Fan(token) for token in cluster.tokens(2))
    for fan, instance in ((holder, one), (other, two)):
        await fan.connect(instance)
        await fan.call("join-seat-selection", {"eventId": event})
    await holder.call("seat-selection-changed", {"eventId": event, "seats": ["VIP-1-1"]})
    until(lambda: life(cluster, event), 10, "the history being noted")
    before = epoch(cluster, event)
    history = life(cluster, event)
    mover = asyncio.create_task(asyncio.to_thread(topology.move, f"hf:{{event:{event}}}:seats:meta"))
    seats = [f"R-{row}-{seat}" for row in range(1, 4) for seat in range(1, 11)]
    for seat in seats:
        await lock(other, two, event, seat)
        await other.http(two, "POST", "/api/seats/release", {"eventId": event, "seatIds": [seat]})
    await mover
    until(lambda: life(cluster, event) != history, 20, "the move being noted")
    await lock(other, one, event, "R-4-1")
    await holder.hears("seat-locked", lambda data: data["seatIds"] == ["R-4-1"])
    assert epoch(cluster, event) == before, "nothing was rebuilt"
    assert (await statuses(other, two, event))["VIP-1-1"] == "locked"
    await buy(holder, one, event, "VIP-1-1")
    await everybody_leaves(holder, other)


async def test_a_redis_that_comes_back_from_an_old_file_is_noticed_and_rebuilt(start):
    topology, cluster = start("standalone")
    one, two = cluster.instances
    event = cluster.create_event()
    first, second = (Fan(token) for token in cluster.tokens(2))
    port = topology.primary()
    home = topology.folder / str(port)
    await lock(first, one, event, "VIP-1-1")
    await lock(second, one, event, "VIP-1-2")
    until(lambda: life(cluster, event), 10, "the history being noted")
    assert topology.ask(port, "SAVE") == "OK"
    shutil.copy(home / "dump.rdb", home / "old.rdb")
    await buy(first, one, event, "VIP-1-1")
    await second.http(one, "POST", "/api/seats/release", {"eventId": event, "seatIds": ["VIP-1-2"]})
    before, history = epoch(cluster, event), life(cluster, event)

    topology.signal(port, signal.SIGKILL)
    shutil.copy(home / "old.rdb", home / "dump.rdb")
    topology.restart(port)
    back = time.monotonic()
    until(lambda: life(cluster, event) != history, 10, "the old file being noticed")
    print(f"old file: noticed and rebuilt after {time.monotonic() - back:.1f} s")
    assert epoch(cluster, event) == before + 1
    seats = await statuses(second, two, event)
    assert seats["VIP-1-1"] == "reserved", "sold after the file was written"
    assert seats["VIP-1-2"] == "available", "a hold of the old file is none"
    await patiently(lambda: lock(second, two, event, "VIP-1-1", expect=409))
    await lock(second, two, event, "VIP-1-3")
    # Once is enough, for two instances as well.
    assert epoch(cluster, event) == before + 1
