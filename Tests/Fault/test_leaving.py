"""Instances that leave when they are asked to."""

import asyncio

import books
import pytest

from balancer import Balancer
from cluster import Cluster, until
from crowd import Crowd, create_house
from regulars import Regular


@pytest.mark.parametrize(
    "stickiness", [pytest.param(True, id="sticky", marks=pytest.mark.short), pytest.param(False, id="anywhere")]
)
async def test_a_rolling_restart_under_load_loses_nothing_and_answers_no_request_with_5xx(stickiness):
    with Cluster(instances=3, DRAIN_NOTICE_SECONDS=5) as cluster:
        event = create_house(cluster, hold_seconds=300)
        line = cluster.create_event(queue=cluster.open_queue(maxActive=1, passSeconds=600))
        with Balancer(cluster, stickiness) as balancer:
            # The crowd takes load-1 to load-16, so those who hold are others.
            tokens = cluster.tokens(26)
            held = [f"R-40-{number}" for number in range(1, 11)]
            regulars = [Regular(token, event, seat) for token, seat in zip(tokens[16:], held)]
            await asyncio.gather(*(regular.arrive(balancer) for regular in regulars))
            async with Crowd(cluster, event, [balancer], buyers=6) as crowd:
                async with Crowd(cluster, line, [balancer], buyers=0, queuers=10) as waiting:
                    for leaving in list(cluster.instances):
                        await crowd.orders(3)
                        ended = asyncio.create_task(asyncio.to_thread(leaving.terminate))
                        until_not_ready = asyncio.to_thread(until, lambda door=leaving: not door.is_ready(), 1)
                        await until_not_ready
                        assert await ended == 0
                        await asyncio.to_thread(cluster.start, 1, leaving.port)
                        # The balancer needs to notice this as well.
                        await asyncio.sleep(2)
                    await crowd.orders(3)
            refused = [key for key in (crowd.answers + waiting.answers) if key[2] == 0 or key[2] >= 500]
            assert refused == [], "no request is lost or answered 5xx"
            await books.check(cluster, crowd, cluster.alive)
            assert waiting.breaches == []
            for regular in regulars:
                assert regular.lost >= 1 and regular.draining, "everybody was told before they were cut"
                assert min(regular.draining) >= 5_000, "nobody comes back before the balancer has noticed"
                assert regular.restored[-1]["selectedSeats"] == [regular.seat], "no hold is lost"
            assert len({regular.draining[0] for regular in regulars}) > 1, "each their own moment"
            for regular in regulars:
                await regular.client.disconnect()
