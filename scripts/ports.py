#!/usr/bin/env python3
"""Ports for the private servers of tests, benchmarks and `make run`.

They lie below those that the kernel gives to outgoing connections: a port of that range that is free now may be some
client's end a moment later, and the server that was to listen there fails.

    scripts/ports.py [count]        one port a line
"""
import contextlib
import random
import socket
import sys

RANGE = range(10_000, 32_000)


def free_ports(count):
    """Different ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as held:
        ports = []
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", random.choice(RANGE)))
                ports.append(probe.getsockname()[1])
        return ports


def free_port():
    return free_ports(1)[0]


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1]) if len(sys.argv) > 1 else 1), sep="\n")
