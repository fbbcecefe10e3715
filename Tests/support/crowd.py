"""A crowd that buys, cancels, waits in line and looks on, and remembers every answer it was given.

Afterwards `books.check` compares what the crowd was told with what is written down.
"""

import asyncio
import itertools
import random
import time
import uuid
from collections import Counter

import aiohttp

PATIENCE_SECONDS = 30
SECONDS_PER_REQUEST = 15


def create_house(cluster, hold_seconds=5, **changes):
    """An event that a crowd does not buy empty within minutes."""
    sale = {"opensAt": None, "maxSeatsPerUser": 100, "holdSeconds": hold_seconds}
    sections = [{"name": "R", "rows": 40, "seatsPerRow": 20, "price": 1000}]
    return cluster.create_event(**{"sale": sale, "sections": sections} | changes)


class Crowd:
    """Use as an async context manager: people come on entering and stop on leaving.

    `doors` are what has a `url`: instances or a balancer. Who finds a door closed tries the next one. With
    `passes_end` those who were let in come again. `tokens` are those of load-1 and
    on, if somebody has made them already.
    """

    def __init__(
        self, cluster, event, doors, buyers=8, queuers=0, methods=None, seed=None, passes_end=False, tokens=None
    ):
        self.cluster, self.event, self.doors = cluster, event, doors
        self.random = random.Random(seed)
        self.methods = methods or {"sandbox": 8, "sandbox-decline": 1}
        self.answers = Counter()
        self.breaches = []
        self.ordered, self.paid, self.cancelled = {}, {}, set()
        self.unknown = set()
        # The best place that each of those who wait was told; 0 is in.
        self.best = {}
        self.slowest = 0.0
        self._buyers, self._queuers, self._passes_end = buyers, queuers, passes_end
        self.tokens, self._renewal = tokens or cluster.tokens(buyers + queuers), None
        self._turn = itertools.count()
        self._stopping = asyncio.Event()

    async def __aenter__(self):
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=SECONDS_PER_REQUEST), connector=aiohttp.TCPConnector(limit=0)
        )
        self.seats = [seat["id"] for seat in (await self.ask(0, "GET", f"/api/events/{self.event}/seats"))[1]["seats"]]
        self._tasks = [asyncio.create_task(self._buy_until_stopped(number)) for number in range(self._buyers)]
        self._tasks += [
            asyncio.create_task(self._wait_in_line(self._buyers + number)) for number in range(self._queuers)
        ]
        return self

    async def __aexit__(self, kind, *_):
        self._stopping.set()
        try:
            results = await asyncio.gather(*self._tasks, return_exceptions=True)
            if kind is None:
                for result in results:
                    if isinstance(result, BaseException):
                        raise result
        finally:
            await self._session.close()

    async def orders(self, more, within=60):
        """Waits until so many more orders were acknowledged."""
        goal, deadline = len(self.ordered) + more, time.monotonic() + within
        while len(self.ordered) < goal:
            assert time.monotonic() < deadline, f"no {more} orders in {within} s: {self.answers.most_common(12)}"
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.02)

    # Asking

    async def ask(self, number, method, path, body=None, headers=None):
        """One request; a status of 0 means that the connection was refused or lost."""
        door = self.doors[next(self._turn) % len(self.doors)]
        token = self.tokens[number]
        headers = {"Authorization": f"Bearer {token}"} | (headers or {})
        start = time.monotonic()
        try:
            async with self._session.request(method, door.url + path, json=body, headers=headers) as answer:
                content = await answer.json(content_type=None) if "json" in answer.content_type else {}
                status = answer.status
                if status >= 500 and (status != 503 or "Retry-After" not in answer.headers):
                    self.breaches.append(f"{method} {path} was answered {status}: {await answer.text()}")
        except (aiohttp.ClientError, OSError):
            status, content = 0, {}
        except TimeoutError:
            status, content = 0, {}
            self.breaches.append(f"{method} {path} had no answer within {SECONDS_PER_REQUEST} s")
        self.slowest = max(self.slowest, time.monotonic() - start)
        self.answers[(method, path.split("?")[0].replace(self.event, "ID")[:24], status, content.get("code"))] += 1
        if status == 401:
            await self._sign_in_again(token, number)
        return status, content

    async def insist(self, number, method, path, body=None, headers=None):
        """The same request until there is an answer, as a careful client does."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            status, content = await self.ask(number, method, path, body, headers)
            if status not in (0, 401, 429, 503):
                return status, content
            await asyncio.sleep(self.random.uniform(0.02, 0.2))
        return 0, {}

    async def _sign_in_again(self, token, number):
        """Sessions are gone: everybody gets a new one, once."""
        if self.tokens[number] != token:
            return
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
        await asyncio.shield(self._renewal)

    async def _renew(self):
        try:
            self.tokens = await asyncio.to_thread(self.cluster.tokens, len(self.tokens))
        except AssertionError:
            await asyncio.sleep(0.5)  # A store is away; the next 401 tries again.
        finally:
            self._renewal = None

    # What they do

    async def _buy_until_stopped(self, number):
        while not self._stopping.is_set():
            await self._buy(number)
            await asyncio.sleep(self.random.uniform(0, 0.05))

    async def _buy(self, number):
        wanted = self.random.sample(self.seats, self.random.choice((1, 1, 2)))
        status, _ = await self.ask(number, "POST", "/api/seats/lock", {"eventId": self.event, "seatIds": wanted})
        if status != 200:
            if status == 422:
                await self._make_room(number)
            await asyncio.sleep(self.random.uniform(0.02, 0.2))
            return
        key = {"Idempotency-Key": str(uuid.UUID(int=self.random.getrandbits(128), version=4))}
        order = {"eventId": self.event, "seatIds": wanted}
        status, content = await self.insist(number, "POST", "/api/reservations", order, key)
        if status == 0:
            self.unknown.add(number)
        if status != 201:
            return
        reservation = content["reservationId"]
        self.ordered[reservation] = {"user": f"load-{number + 1}", "seats": sorted(wanted), "key": key, "body": order}
        if self.random.random() < 0.6:
            await self._cancel(number, reservation)
            return
        method = self.random.choices(list(self.methods), self.methods.values())[0]
        payment = {"reservationId": reservation, "paymentMethod": method}
        status, content = await self.insist(number, "POST", "/api/payments/process", payment)
        if status == 200 and content.get("success"):
            self.paid[reservation] = content["paymentId"]

    async def _make_room(self, number):
        """Someone who has as many seats as one may have gives orders back that are not paid."""
        for reservation, order in list(self.ordered.items()):
            if order["user"] == f"load-{number + 1}" and reservation not in self.paid | dict.fromkeys(self.cancelled):
                await self._cancel(number, reservation)
        await asyncio.sleep(0.2)

    async def _cancel(self, number, reservation):
        status, _ = await self.insist(number, "POST", f"/api/reservations/{reservation}/cancel")
        if status == 200:
            self.cancelled.add(reservation)

    async def _wait_in_line(self, number):
        """Asks for the place over and over; it must never get worse."""
        best = None
        while not self._stopping.is_set():
            status, standing = await self.ask(number, "POST", f"/api/queue/check/{self.event}")
            # A pass that ended between two looks sends its owner to the end of the line, rightly.
            if status == 200 and not self._passes_end:
                position = {"waiting": standing.get("position"), "admitted": 0}.get(standing["status"])
                if position is None:
                    self.breaches.append(f"load-{number + 1} stood at {best} and is now {standing['status']}")
                elif best is not None and position > best:
                    self.breaches.append(f"load-{number + 1} stood at {best} and now at {position}")
                best = position if best is None else min(best, position or 0)
                self.best[number] = best
            await asyncio.sleep(0.3)
