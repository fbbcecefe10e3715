"""Sales one after another, people coming and going, for as long as is asked; then everything has to be as before.

    MINUTES=60 python Tests/Fault/soak.py

Each round makes an event, sells, lets a queue pass, drops sockets politely and rudely, closes and archives the event.
Watched per instance: resident memory and file descriptors; in Redis: keys and memory; in PostgreSQL: connections.
Prints a table, a line a round, and what was breached; exit status 1 if anything was.
"""

import asyncio
import os
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/support"), str(ROOT / "scripts")]

import books  # noqa: E402
from socketio.exceptions import SocketIOError  # noqa: E402
from cluster import Cluster, until  # noqa: E402
from crowd import Crowd, create_house  # noqa: E402
from fans import Fan  # noqa: E402
from stores import Stores  # noqa: E402

MINUTES = float(os.environ.get("MINUTES", "60"))
ROUND_SECONDS = 20
BUYERS, SOCKETS, QUEUERS = 8, 30, 20
# The first part of the run fills caches, pools and the allocator's arenas.
WARM_UP = 0.3
# What resident memory may grow by per hour after that, and in all: what the allocator does not give back, not a leak.
MAX_GROWTH_MB_PER_HOUR, NOISE_MB = 8, 8
# Lists of sign-in throttles, leases and the like, which come and go.
SPARE_KEYS, SPARE_DESCRIPTORS = 20, 8
# A busy machine may let one be late.
MAX_FAILED_VISITS = 0.02


class Sample:
    def __init__(self, cluster, began):
        self.minute = (time.monotonic() - began) / 60
        self.memory = [memory_mb(instance.process.pid) for instance in cluster.alive]
        self.descriptors = [len(os.listdir(f"/proc/{instance.process.pid}/fd")) for instance in cluster.alive]
        self.keys = int(cluster.redis("DBSIZE"))
        used = next(line for line in cluster.redis("INFO", "memory").splitlines() if line.startswith("used_memory:"))
        self.redis_mb = int(used.split(":")[1]) / 2**20

    def __str__(self):
        memory = " ".join(f"{value:6.1f}" for value in self.memory)
        descriptors = " ".join(f"{value:4d}" for value in self.descriptors)
        return f"{self.minute:7.1f}  {memory}  {descriptors}  {self.keys:6d}  {self.redis_mb:7.1f}"


def memory_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def slope_per_hour(points):
    """Least squares through (minute, value)."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0


class Visits:
    made = failed = 0


async def visit(cluster, event, token, chance, until_time):
    """Somebody who connects, looks, perhaps holds a seat, and leaves as people do."""
    while time.monotonic() < until_time:
        fan = Fan(token)
        Visits.made += 1
        try:
            await fan.connect(chance.choice(cluster.instances))
            await fan.call("join-event", {"eventId": event})
            await fan.call("join-seat-selection", {"eventId": event})
            await asyncio.sleep(chance.uniform(0.1, 3))
            if chance.random() < 0.5:
                fan.socket.eio.ws._response.connection.transport.abort()
            # The client's own threads end with it, also when it was cut.
            await asyncio.wait_for(fan.socket.shutdown(), 10)
        except (AssertionError, TimeoutError, SocketIOError) as error:
            Visits.failed += 1
            print(f"a visit failed: {error!r}"[:200], file=sys.stderr)


async def one_round(cluster, chance, tokens):
    event = create_house(cluster, hold_seconds=3, queue={"enabled": False})
    line = cluster.create_event(queue=cluster.open_queue(maxActive=5, ratePerMinute=600, passSeconds=3))
    ends = time.monotonic() + ROUND_SECONDS
    async with Crowd(cluster, event, cluster.instances, buyers=BUYERS, tokens=list(tokens)) as crowd:
        queue = Crowd(
            cluster, line, cluster.instances, buyers=0, queuers=QUEUERS, passes_end=True, tokens=list(tokens)
        )
        async with queue as waiting:
            visitors = tokens[max(BUYERS, QUEUERS):]
            await asyncio.gather(*(visit(cluster, event, token, chance, ends) for token in visitors))
    await books.check(cluster, crowd)
    assert waiting.breaches == [], waiting.breaches[:5]
    for identifier in (event, line):
        cluster.command("event", "close", identifier)
    settled = "SELECT count(*) FROM reservations WHERE status IN ('pending', 'paying')"
    await asyncio.to_thread(until, lambda: cluster.sql(settled) == ["0"], 30, "every order ending")
    for identifier in (event, line):
        cluster.command("event", "archive", identifier)
    return crowd, event, line


def breaches(samples, left):
    after = samples[max(1, int(len(samples) * WARM_UP)):]
    found = []
    for index in range(len(after[0].memory)):
        points = [(sample.minute, sample.memory[index]) for sample in after]
        growth, rise = slope_per_hour(points), points[-1][1] - points[0][1]
        if growth > MAX_GROWTH_MB_PER_HOUR and rise > NOISE_MB:
            found.append(f"instance {index}: memory rises by {growth:.1f} MB an hour ({rise:.1f} MB in this run)")
        rise = after[-1].descriptors[index] - after[0].descriptors[index]
        if rise > SPARE_DESCRIPTORS:
            found.append(f"instance {index}: {rise} more file descriptors than after the warm-up")
    if after[-1].keys - after[0].keys > SPARE_KEYS:
        found.append(f"{after[-1].keys - after[0].keys} more keys in Redis than after the warm-up")
    if Visits.failed > MAX_FAILED_VISITS * Visits.made:
        found.append(f"{Visits.failed} of {Visits.made} visits failed")
    if left:
        found.append(f"{len(left)} keys of archived events are left, such as {left[0]}")
    return found


async def main():
    chance = random.Random(6)
    # People's own keys (sessions, places) live on by their expiry; short ones let them come to rest within the run.
    with Stores() as stores, Cluster(instances=2, stores=stores, STATE_TTL=30) as cluster:
        began, samples, orders, events = time.monotonic(), [], 0, []
        tokens = cluster.tokens(max(BUYERS, QUEUERS) + SOCKETS)
        print(" minute  memory of instances, MB  descriptors  keys in Redis, its MB")
        while time.monotonic() - began < MINUTES * 60 or len(samples) < 4:
            crowd, *made = await one_round(cluster, chance, tokens)
            orders, events = orders + len(crowd.ordered), events + made
            samples.append(Sample(cluster, began))
            print(samples[-1], flush=True)
        left = [
            key for key in cluster.redis("--scan").splitlines() if any(event in key for event in events)
        ]
        found = breaches(samples, left)
        print(f"{len(samples)} rounds, {orders} orders, {len(events)} events archived, {Visits.made} visits")
        for breach in found:
            print(f"BREACH: {breach}")
        return 1 if found else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
