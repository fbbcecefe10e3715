"""Clients that do not read, and clients that are cut off all at once."""

import asyncio
import pathlib
import socket
import time

import books

from balancer import Balancer
from cluster import Cluster, until
from crowd import Crowd, create_house
from fans import Fan, assert_gapless, everybody_leaves
from regulars import Regular


def transport(fan):
    return fan.socket.eio.ws._response.connection.transport


def stop_reading(fan):
    """From here on nothing is taken off the wire, and little fits into it; the connection stays."""
    transport(fan).get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    transport(fan).pause_reading()


def is_served(fan, instance):
    """Whether the service still keeps the fan's connection, by the kernel's account."""
    _, port = transport(fan).get_extra_info("sockname")
    ends = [f":{instance.port:04X}", f":{port:04X}"]
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, near, far, state, *_ = line.split()
        if near.endswith(ends[0]) and far.endswith(ends[1]) and state == "01":
            return True
    return False


async def test_a_tenth_of_the_clients_not_reading_costs_the_others_nothing():
    with Cluster(instances=1) as cluster:
        instance = cluster.instances[0]
        # Rows with long names, so that messages fill buffers quickly.
        sections = [{"name": "X" * 60, "rows": 10, "seatsPerRow": 50, "price": 1000}]
        event = cluster.create_event(
            sale={"opensAt": None, "maxSeatsPerUser": 100, "holdSeconds": 300}, sections=sections
        )
        seats = [f"{'X' * 60}-{row}-{number}" for row in (1, 2) for number in range(1, 51)]
        tokens = cluster.tokens(21)
        fans = [Fan(token) for token in tokens[:20]]
        for fan in fans:
            await fan.connect(instance)
            await fan.call("join-seat-selection", {"eventId": event})
        deaf, awake = fans[:2], fans[2:]
        for fan in deaf:
            stop_reading(fan)
        writer = await Fan(tokens[20]).connect(instance)
        await writer.call("join-seat-selection", {"eventId": event})
        times = []
        # 1,400 messages of 7 KB: more than the kernel (4 MB) and we (256 KiB) keep for one who does not read.
        for _ in range(700):
            for wanted in (seats, []):
                begun = time.monotonic()
                await writer.call("seat-selection-changed", {"eventId": event, "seats": wanted})
                times.append(time.monotonic() - begun)
        last = writer.heard("seat-released")[-1]["seq"]
        for fan in awake:
            await fan.hears("seat-released", lambda data: data["seq"] == last, within=60)
            assert_gapless(fan)
        assert sorted(times)[len(times) * 95 // 100] < 1, "the writer waits for nobody"
        # Those who did not read were let go; the others are all there.
        for fan in deaf:
            await asyncio.to_thread(until, lambda fan=fan: not is_served(fan, instance), 20, "the end of a connection")
        assert all(fan.socket.connected for fan in awake)
        await everybody_leaves(*awake, writer)


async def test_everybody_cut_off_at_once_in_the_middle_of_a_restart_is_back_in_their_place():
    with Cluster(instances=3, DRAIN_NOTICE_SECONDS=3) as cluster:
        event = create_house(cluster, hold_seconds=300)
        with Balancer(cluster, stickiness=False) as balancer:
            tokens = cluster.tokens(46)
            held = [f"R-{row}-{number}" for row in (39, 40) for number in range(1, 21)]
            regulars = [Regular(token, event, seat) for token, seat in zip(tokens[6:], held)]
            await asyncio.gather(*(regular.arrive(balancer) for regular in regulars))
            async with Crowd(cluster, event, [balancer], buyers=6) as crowd:
                await crowd.orders(3)
                leaving = cluster.instances[0]
                ended = asyncio.create_task(asyncio.to_thread(leaving.terminate))
                await asyncio.sleep(1)
                for regular in regulars:
                    regular.client.eio.ws._response.connection.transport.abort()
                assert await ended == 0
                await asyncio.to_thread(cluster.start, 1, leaving.port)
                await crowd.orders(3)
            deadline = time.monotonic() + 20
            while not all(regular.client.connected and regular.restored for regular in regulars):
                assert time.monotonic() < deadline, "somebody is not back after 20 s"
                await asyncio.sleep(0.05)
            for regular in regulars:
                assert regular.restored[-1]["selectedSeats"] == [regular.seat]
            await books.check(cluster, crowd)
            for regular in regulars:
                await regular.client.disconnect()
