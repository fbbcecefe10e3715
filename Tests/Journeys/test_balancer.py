"""Three instances behind HAProxy, which behaves as the load balancers do that people really have."""

import asyncio

import aiohttp
import socketio

from balancer import Balancer
from fans import Fan, everybody_leaves


def keeps_cookies():
    """aiohttp takes no cookies from addresses unless it is told to."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def test_polling_with_an_upgrade_works_through_a_sticky_balancer(cluster):
    with Balancer(cluster) as balancer:
        for token in cluster.tokens(6):
            jar = keeps_cookies()
            client = socketio.AsyncClient(reconnection=False, http_session=jar)
            await client.connect(balancer.url, auth={"token": token}, transports=["polling", "websocket"], wait_timeout=20)
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
            await client.connect(balancer.url, auth={"token": token}, transports=["polling"], wait_timeout=20)
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
