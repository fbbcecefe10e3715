"""The waiting room over several instances: order, limits, take-over."""

import asyncio
from datetime import datetime, timedelta

from cluster import Cluster
from fans import Fan, everybody_leaves


async def queue_up(cluster, event, count):
    """Connects `count` people, spread over the instances, and lets them join one after another."""
    fans = [Fan(token) for token in cluster.tokens(count)]
    instances = cluster.alive
    await asyncio.gather(*(fan.connect(instances[index % len(instances)]) for index, fan in enumerate(fans)))
    for fan in fans:
        await fan.call("join-queue", {"eventId": event})
    return fans


async def test_max_active_is_never_exceeded_and_leaving_lets_the_next_one_in(cluster):
    event = cluster.create_event(queue=cluster.open_queue(maxActive=2))
    fans = await queue_up(cluster, event, 5)
    for fan in fans[:2]:
        await fan.hears("queue-entry-allowed")
    # Told at any moment since the first two went in: the others may not have come by then.
    third = await fans[2].hears("queue-updated", lambda data: data["position"] == 1)
    assert third["ahead"] == 0 and 1 <= third["totalWaiting"] <= 3
    state = await fans[2].http(cluster.instances[0], "GET", f"/api/queue/status/{event}")
    assert state["position"] == 1 and state["totalWaiting"] == 3
    again = await fans[4].call("join-queue", {"eventId": event})
    assert again["status"] == "waiting" and again["position"] == 3, "asking again never costs a place"
    await fans[0].call("leave-queue", {"eventId": event})
    await fans[2].hears("queue-entry-allowed")
    assert not fans[3].heard("queue-entry-allowed")
    names = [name for name, *_ in fans[1].arrived]
    assert "queue-updated" not in names[names.index("queue-entry-allowed"):], "who is in has no position"
    positions = [data["position"] for data in fans[4].heard("queue-updated")]
    assert positions == sorted(positions, reverse=True), "a position never gets worse"
    await everybody_leaves(*fans)


async def test_a_pass_that_runs_out_frees_the_slot(cluster):
    event = cluster.create_event(queue=cluster.open_queue(maxActive=1, passSeconds=4))
    first, second = await queue_up(cluster, event, 2)
    mine = await first.hears("queue-entry-allowed")
    await first.hears("queue-entry-expired")
    theirs = await second.hears("queue-entry-allowed")
    # Both passes last four seconds, so the second one began when the first had ended.
    began = datetime.fromisoformat(theirs["expiresAt"]) - timedelta(seconds=4)
    assert began >= datetime.fromisoformat(mine["expiresAt"])
    refused = await first.call("join-seat-selection", {"eventId": event}, ok=False)
    assert refused["code"] == "NOT_ADMITTED"
    await everybody_leaves(first, second)


async def test_seats_need_a_pass(cluster):
    event = cluster.create_event(queue=cluster.open_queue(maxActive=1))
    first, second = await queue_up(cluster, event, 2)
    await first.hears("queue-entry-allowed")
    one = cluster.instances[0]
    body = {"eventId": event, "seatIds": ["VIP-1-1"]}
    refused = await second.http(one, "POST", "/api/seats/lock", body, expect=403)
    assert refused["code"] == "NOT_ADMITTED"
    await first.http(one, "POST", "/api/seats/lock", body)
    await everybody_leaves(first, second)


async def test_another_instance_admits_within_three_seconds_of_the_leaders_death():
    with Cluster(instances=3) as cluster:
        event = cluster.create_event(queue=cluster.open_queue(maxActive=1))
        survivors = cluster.instances[1:]
        fans = [Fan(token) for token in cluster.tokens(3)]
        for index, fan in enumerate(fans):
            await fan.connect(survivors[index % 2])
            await fan.call("join-queue", {"eventId": event})
        await fans[0].hears("queue-entry-allowed")
        # Whoever leads, it dies: one after another is killed until one is left.
        cluster.instances[0].kill()
        await fans[0].call("leave-queue", {"eventId": event})
        await fans[1].hears("queue-entry-allowed", within=4)
        survivors[1].kill()
        await asyncio.gather(fans[1].hears("(disconnected)"))
        back = Fan(fans[1].token)
        await back.connect(survivors[0])
        restored = await back.hears("session-restored")
        assert restored["queue"]["status"] == "admitted", "a pass outlives the instance that gave it"
        await back.call("leave-queue", {"eventId": event})
        await fans[2].hears("queue-entry-allowed", within=4)
        await everybody_leaves(fans[0], fans[2], back)
