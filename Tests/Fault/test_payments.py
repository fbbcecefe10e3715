"""What a payment provider says late, twice, in the wrong order, or never."""

import asyncio
import random
import uuid

import books
import pytest

from cluster import Cluster, until
from crowd import Crowd, create_house
from fans import Fan
from steps import WEBHOOK_SECRET, lock, pay, reserve, tell

@pytest.mark.short
async def test_money_that_comes_after_the_seats_were_sold_to_another_goes_back_once():
    with Cluster(instances=2, PAYMENT_WEBHOOK_SECRET=WEBHOOK_SECRET) as cluster:
        event = cluster.create_event(sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 2})
        one, two = cluster.instances
        first, second = (Fan(token) for token in cluster.tokens(2))
        await lock(first, one, event, ["R-1-1"])
        order = await reserve(first, one, event, ["R-1-1"])
        reservation = order["reservationId"]
        payment = (await pay(first, one, order, "sandbox-never", expect=202))["paymentId"]
        # Reordered: the refusal arrives first, the success long after the reservation has ended.
        assert await tell(one, payment, reservation, "failed") == 200
        status = f"SELECT status FROM reservations WHERE id = '{reservation}'"
        await asyncio.to_thread(until, lambda: cluster.sql(status) == ["expired"], what="the reservation ending")
        await asyncio.to_thread(until, lambda: cluster.sql("SELECT count(*) FROM outbox") == ["0"], what="the outbox")
        await lock(second, two, event, ["R-1-1"])
        await pay(second, two, await reserve(second, two, event, ["R-1-1"]))
        message = str(uuid.uuid4())
        told = await asyncio.gather(
            *(tell(door, payment, reservation, "succeeded", message) for door in (one, two) for _ in range(4))
        )
        assert set(told) == {200}
        await asyncio.to_thread(until, lambda: cluster.sql(status) == ["refunded"], what="the money going back")
        refunds = "SELECT status, count(*) FROM payments WHERE status LIKE 'refund%' GROUP BY 1"
        assert cluster.sql(refunds) == ["refunded|1"]
        assert books.breaches(cluster) == []


async def test_answers_late_doubled_reordered_or_missing_pay_every_order_at_most_once():
    with Cluster(instances=2, PAYMENT_WEBHOOK_SECRET=WEBHOOK_SECRET) as cluster:
        event = create_house(cluster, hold_seconds=20)
        methods = {"sandbox": 3, "sandbox-never": 4, "sandbox-slow": 1, "sandbox-decline": 1}
        chance, told = random.Random(6), {}
        open_payments = "SELECT id, reservation_id FROM payments WHERE method = 'sandbox-never'"
        async with Crowd(cluster, event, cluster.instances, buyers=8, methods=methods, seed=6) as crowd:
            for _ in range(8):
                await crowd.orders(8)
                for row in cluster.sql(open_payments):
                    payment, reservation = row.split("|")
                    if payment in told or chance.random() < 0.3:
                        continue  # Never, or in another round.
                    told[payment] = chance.choice((["succeeded"], ["failed"], ["failed", "succeeded"],
                                                   ["succeeded", "failed"]))
                    messages = [(kind, str(uuid.uuid4())) for kind in told[payment]] * 2
                    statuses = await asyncio.gather(*(
                        tell(chance.choice(cluster.instances), payment, reservation, kind, message)
                        for kind, message in messages
                    ))
                    assert set(statuses) <= {200, 503}, statuses
        await books.check(cluster, crowd)
        paid = dict(row.split("|") for row in cluster.sql(
            "SELECT p.id, p.status FROM payments p WHERE method = 'sandbox-never'"))
        for payment, status in paid.items():
            kinds = told.get(payment, [])
            expected = {"started"} if not kinds else {"declined"} if kinds == ["failed"] else (
                {"succeeded", "refunded", "refund_due"})
            assert status in expected, f"the provider said {kinds} and {payment} is {status}"
