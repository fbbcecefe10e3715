"""Three instances behind HAProxy, which behaves as the load balancers do that people really have."""

import asyncio

import aiohttp
import books
import pytest
import socketio

from balancer import Balancer
from cluster import Cluster, until
from crowd import Crowd, create_house
from fans import Fan, everybody_leaves


def keeps_cookies():
    """aiohttp takes no cookies from addresses unless it is told to."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def test_polling_with_an_upgrade_works_through_a_sticky_balancer(cluster):
    with Balancer(cluster) as balancer:
        for token in cluster.tokens(6):
            jar = keeps_cookies()
            client = socketio.AsyncClient(reconnection=False, http_session=jar)
            await client.connect(balancer.url, auth={"token": token}, transports=["polling", "websocket"])
            assert (await client.call("latency", {}, timeout=10))["ok"]
            assert client.transport() == "websocket"
            assert "HFLB" in {cookie.key for cookie in jar.cookie_jar}
            await client.disconnect()
            await jar.close()


async def test_polling_alone_works_through_a_sticky_balancer(cluster):
    with Balancer(cluster) as balancer:
        clients = []
        for token in cluster.tokens(6):
            jar = keeps_cookies()
            client = socketio.AsyncClient(reconnection=False, http_session=jar)
            await client.connect(balancer.url, auth={"token": token}, transports=["polling"])
            clients.append((client, jar))
        for _ in range(5):
            answers = await asyncio.gather(*(client.call("latency", {}, timeout=10) for client, _ in clients))
            assert all(answer["ok"] for answer in answers)
        for client, jar in clients:
            await client.disconnect()
            await jar.close()


async def test_websocket_alone_needs_no_stickiness(cluster):
    event = cluster.create_event()
    with Balancer(cluster, stickiness=False) as balancer:
        fans = [Fan(token) for token in cluster.tokens(6)]
        for fan in fans:
            await fan.connect(balancer)
            await fan.call("join-seat-selection", {"eventId": event})
        await fans[0].call("seat-selection-changed", {"eventId": event, "seats": ["R-1-1"]})
        for fan in fans[1:]:
            await fan.hears("seat-locked", lambda data: data["seatIds"] == ["R-1-1"])
        # Requests of one person go to every instance in turn and find the same.
        for _ in range(6):
            held = await fans[0].http(balancer, "GET", f"/api/events/{event}/seats")
            assert [seat["id"] for seat in held["seats"] if seat["status"] == "locked"] == ["R-1-1"]
        await everybody_leaves(*fans)


async def test_an_address_that_a_client_makes_up_is_not_believed_behind_a_balancer(cluster):
    with Balancer(cluster) as balancer:
        fan = Fan(cluster.tokens(1)[0])
        session = await fan.http(
            balancer, "GET", "/api/session/me", headers={"X-Forwarded-For": "203.0.113.7"}
        )
        assert session["ip_address"] != "203.0.113.7"


class Regular:
    """A person with the unmodified client, who reconnects by themselves and must be found in the same place."""

    def __init__(self, token, event, seat):
        self.token, self.event, self.seat = token, event, seat
        self.draining, self.restored, self.lost = [], [], 0
        self.client = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.5)
        self.client.on("server-draining", lambda data: self.draining.append(data["reconnectAfterMs"]))
        self.client.on("session-restored", lambda data: self.restored.append(data))
        self.client.on("disconnect", self._disconnected)

    def _disconnected(self, *_):
        self.lost += 1

    async def arrive(self, door):
        await self.client.connect(door.url, auth={"token": self.token}, transports=["websocket"], wait_timeout=20)
        answer = await self.client.call("join-seat-selection", {"eventId": self.event}, timeout=20)
        assert answer["ok"], answer
        answer = await self.client.call(
            "seat-selection-changed", {"eventId": self.event, "seats": [self.seat]}, timeout=20
        )
        assert answer["ok"], answer


@pytest.mark.parametrize("stickiness", [True, False], ids=["sticky", "anywhere"])
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
