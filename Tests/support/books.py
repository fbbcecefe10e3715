"""Compares what a crowd was told with what is written down, and what the instances show with both."""

import asyncio
import json

import aiohttp

from cluster import until

SETTLING_SECONDS = 30

NEVER = {
    "a seat has two live orders": """
        SELECT event_id, seat_id, count(*) FROM seat_claims WHERE live GROUP BY 1, 2 HAVING count(*) > 1""",
    "a seat is taken without a reservation that stands": """
        SELECT seat_id, reservation_id, r.status FROM seat_claims JOIN reservations r ON r.id = reservation_id
        WHERE live <> (r.status IN ('pending', 'paying', 'paid'))""",
    "a total is not the sum of its seats": """
        SELECT r.id, total_amount, sum(price) FROM reservations r JOIN seat_claims ON reservation_id = r.id
        GROUP BY r.id HAVING total_amount <> sum(price)""",
    "a grant bought a seat after a later one had": """
        SELECT * FROM (
            SELECT event_id, seat_id, claimed_at, (fence_epoch, fence_counter) AS fence,
                lag((fence_epoch, fence_counter)) OVER (PARTITION BY event_id, seat_id ORDER BY claimed_at) AS former
            FROM seat_claims WHERE claim_number = 1) AS grants
        WHERE fence <= former""",
    "somebody has more seats than one may": """
        SELECT c.event_id, c.user_id, count(*) FROM seat_claims c JOIN events e ON e.id = c.event_id
        WHERE live GROUP BY 1, 2, e.max_seats_per_user HAVING count(*) > e.max_seats_per_user""",
    "a reservation is paid without money, or the other way round": """
        SELECT r.id, r.status, count(p.id) FROM reservations r
        LEFT JOIN payments p ON p.reservation_id = r.id AND p.status = 'succeeded'
        GROUP BY r.id HAVING count(p.id) <> (CASE WHEN r.status = 'paid' THEN 1 ELSE 0 END)""",
    "a key was answered with two orders": """
        SELECT user_id, key, count(*) FROM idempotency_keys GROUP BY 1, 2 HAVING count(*) > 1""",
}


def breaches(cluster):
    """What PostgreSQL alone tells."""
    return [f"{name}: {rows[:5]}" for name, statement in NEVER.items() if (rows := cluster.sql(statement))]


async def check(cluster, crowd, doors=None):
    """All of it, when everything under way has come to its end."""
    doors = cluster.alive if doors is None else doors
    found = list(crowd.breaches)
    await asyncio.to_thread(
        until, lambda: cluster.sql("SELECT count(*) FROM outbox") == ["0"], SETTLING_SECONDS, "the outbox running empty"
    )
    found += breaches(cluster)
    written = {
        identifier: (user, status)
        for identifier, user, status in (
            row.split("|") for row in cluster.sql("SELECT id, user_id, status FROM reservations")
        )
    }
    for reservation, order in crowd.ordered.items():
        user, status = written.get(reservation, (None, None))
        if user != order["user"]:
            found.append(f"the order {reservation} was acknowledged and is not written down")
        if reservation in crowd.paid and status != "paid":
            found.append(f"the payment of {reservation} was acknowledged and it is {status}")
        if reservation in crowd.cancelled and status == "paid":
            found.append(f"{reservation} was cancelled and is paid")
    found += await views(cluster, crowd, doors)
    assert not found, "\n".join(found[:20]) + f"\n{crowd.answers.most_common(20)}"
    assert crowd.ordered, f"nobody ordered anything: {crowd.answers.most_common(20)}"


async def views(cluster, crowd, doors):
    """The maps of all instances against each other and PostgreSQL, until they agree or five seconds are over."""
    event = crowd.event
    statement = f"SELECT seat_id FROM seat_claims WHERE live AND event_id = '{event}'"
    differences = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {crowd.tokens[0]}"}) as session:
        for _ in range(25):
            taken, differences = set(cluster.sql(statement)), []
            for door in doors:
                async with session.get(f"{door.url}/api/events/{event}/seats") as answer:
                    body = json.loads(await answer.text())
                    if answer.status != 200:
                        differences.append(f"the map is answered {answer.status}: {body}")
                        continue
                shown = {seat["id"] for seat in body["seats"] if seat["status"] == "reserved"}
                if shown != taken:
                    differences.append(f"{door.url} shows as sold what is not, or not what is: {sorted(shown ^ taken)}")
            if not differences:
                return []
            await asyncio.sleep(0.2)
    return differences
