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


# What may wait for one socket, and what one message may add to that when it is let in below the bound.
BOUND, LONGEST_MESSAGE = 256 * 1_024, 16 * 1_024


async def metric(fan, instance, name):
    """The value of a metric without labels."""
    text = await fan.http(instance, "GET", "/metrics")
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))


async def test_clients_that_do_not_read_are_cut_off_at_the_bound_and_cost_the_others_nothing():
    with Cluster(instances=1) as cluster:
        instance = cluster.instances[0]
        # Rows with long names, so that a message has 7 KB.
        sections = [{"name": "X" * 60, "rows": 10, "seatsPerRow": 50, "price": 1000}]
        event = cluster.create_event(
            sale={"opensAt": None, "maxSeatsPerUser": 100, "holdSeconds": 300}, sections=sections
        )
        seats = [f"{'X' * 60}-{row}-{number}" for row in (1, 2) for number in range(1, 51)]
        tokens = cluster.tokens(21)
        fans = [Fan(token) for token in tokens]
        for fan in fans:
            await fan.connect(instance)
            await fan.call("join-seat-selection", {"eventId": event})
        # A tenth of them.
        deaf, awake, writer = fans[:2], fans[2:20], fans[20]
        for fan in deaf:
            stop_reading(fan)
        written, buffered = 0, []
        # How much the kernel keeps for one who does not read is its own affair: go on until we have to keep the rest.
        while any(is_served(fan, instance) for fan in deaf):
            # 16 messages, then all who read have to have them: what waits in the service is for those who do not.
            for wanted in (seats, []) * 8:
                await writer.call("seat-selection-changed", {"eventId": event, "seats": wanted})
                # Below the 100 events a second at which a socket is taken for a flood.
                await asyncio.sleep(0.012)
            written += 16
            last = writer.heard("seat-released")[-1]["seq"]
            for fan in awake:
                await fan.hears("seat-released", lambda data: data["seq"] == last, within=60)
            buffered.append(await metric(writer, instance, "engineio_buffered_bytes"))
            assert written < 4_000, f"28 MB are written and nobody was cut off; buffered: {buffered[-5:]}"
        assert max(buffered) > 0, "something waited for those who do not read"
        assert max(buffered) <= len(deaf) * (BOUND + LONGEST_MESSAGE), "and no more than the bound"
        assert await metric(writer, instance, "engineio_slow_consumers_total") == len(deaf)
        assert await metric(writer, instance, "engineio_buffered_bytes") < BOUND, "it was given back"
        for fan in awake:
            assert_gapless(fan)
            assert fan.socket.connected and fan.heard("(disconnected)") == []
        # The seats are as the writer left them, and who was cut off may come again.
        again = await Fan(tokens[0]).connect(instance)
        answer = await again.call("join-seat-selection", {"eventId": event})
        assert answer["seq"] == last
        await everybody_leaves(*awake, writer, again)


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
