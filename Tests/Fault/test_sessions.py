"""Sign-in sessions that were ended, and a Redis that has them again."""

import asyncio
import time

import pytest

from cluster import Cluster
from fans import Fan, Refused, everybody_leaves
from wire import Wire

# So many answers in a row, after the first that says "signed out", have to say the same.
STEADY = 20


async def status(fan, door):
    try:
        await fan.http(door, "GET", "/api/auth/me")
        return 200
    except Refused as refused:
        return refused.status
    except OSError:
        return 503


async def stays_out(fan, door, who):
    """Nobody is let in, from the first answer on; 503 while nobody can know, and then 401."""
    deadline, steady = time.monotonic() + 30, 0
    while steady < STEADY:
        answer = await status(fan, door)
        assert answer in (401, 503), f"{who} is signed in again at {door.name}: {answer}"
        assert answer == 401 or steady == 0, f"{who} was signed out at {door.name} and now it is not known"
        steady += answer == 401
        assert time.monotonic() < deadline, f"{door.name} does not know whether {who} is signed in"
        await asyncio.sleep(0.005)


class People:
    """Somebody who stays, and those who leave: by themselves, thrown out, everywhere at once, and with other rights."""

    def __init__(self, cluster):
        self.cluster, (self.one, self.two) = cluster, cluster.instances
        for name in ("stays", "leaves", "thrown-out", "leaves-everywhere", "promoted"):
            cluster.create_user(name)
        cluster.create_user("chief", "super_admin")

    async def sign_in(self):
        self.chief = await Fan().login(self.one, "chief")
        self.stays = await Fan().login(self.two, "stays")
        self.gone = {
            name: await Fan().login(self.one, name)
            for name in ("leaves", "thrown-out", "leaves-everywhere", "promoted")
        }
        for fan in [self.stays, *self.gone.values()]:
            for door in (self.one, self.two):
                assert await status(fan, door) == 200

    async def leave(self):
        await self.gone["leaves"].http(self.two, "POST", "/api/auth/logout")
        await self.gone["leaves-everywhere"].http(self.one, "POST", "/api/v1/auth/logout/all")
        await self.chief.http(self.two, "DELETE", "/api/session/user/thrown-out")
        await self.chief.http(self.two, "PATCH", "/api/admin/users/promoted", {"role": "admin"})
        # The sign-in goes on with the new rights, under another session's name: the old one is known to nobody else.
        pair = {"refresh_token": self.gone["promoted"].signed_in["refresh_token"]}
        renewed = await Fan().http(self.one, "POST", "/api/auth/refresh", pair)
        self.promoted = Fan(renewed["access_token"])
        for name, fan in self.gone.items():
            assert await status(fan, self.one) == await status(fan, self.two) == 401, name

    async def stay_out(self):
        doors = (self.one, self.two)
        await asyncio.gather(*(stays_out(fan, door, name) for name, fan in self.gone.items() for door in doors))

    async def check_the_rest(self):
        """Who was signed in and has not left is, and the operator can see what happened."""
        for door in (self.one, self.two):
            assert await status(self.stays, door) == 200
            # Made since; one refresh would bring it back.
            assert await status(self.promoted, door) in (200, 401)
        fan = self.gone["leaves"]
        assert (await fan.is_refused(self.one))["data"]["code"] == "SESSION_EXPIRED"
        await everybody_leaves(fan)
        figures = [await self.chief.http(door, "GET", "/metrics") for door in (self.one, self.two)]
        lines = [line for text in figures for line in text.splitlines()]
        ended = [float(line.split()[1]) for line in lines if line.startswith("holdfast_sessions_ended_again_total ")]
        assert sum(ended) >= len(self.gone), ended
        logs = "".join(door.log.read_text() for door in (self.one, self.two))
        assert "ended sessions came back with Redis" in logs


@pytest.mark.parametrize("kind", [pytest.param("snapshot", marks=pytest.mark.short), "append-only-file"])
async def test_redis_back_from_an_old_file_lets_nobody_in_who_was_signed_out(stores, kind):
    with Cluster(instances=2, stores=stores) as cluster:
        people = People(cluster)
        await people.sign_in()
        (stores.keep_redis_snapshot if kind == "snapshot" else stores.keep_redis_file)()
        await people.leave()
        await asyncio.to_thread(stores.crash, "redis")
        stores.bring_back_redis_file()
        out = asyncio.create_task(people.stay_out())
        await asyncio.to_thread(stores.again, "redis")
        await out
        await people.check_the_rest()


async def test_a_replica_promoted_behind_its_primary_lets_nobody_in_who_was_signed_out(stores):
    with Cluster(instances=0, stores=stores) as cluster, Wire(cluster.redis_url) as wire:
        cluster.environment["REDIS_URL"] = wire.through(cluster.environment["REDIS_URL"])
        await asyncio.to_thread(cluster.start, 2)
        people = People(cluster)
        await people.sign_in()
        with stores.replica() as replica:
            # Promoted while the old primary goes on: what that acknowledges from now on is lost.
            replica.promote()
            await people.leave()
            wire.target = replica.address
            wire.cut_all()
            await people.stay_out()
            await people.check_the_rest()


async def test_instances_that_start_on_an_old_redis_let_nobody_in_who_was_signed_out(stores):
    with Cluster(instances=2, stores=stores) as cluster:
        people = People(cluster)
        await people.sign_in()
        stores.keep_redis_snapshot()
        await people.leave()
        for instance in cluster.instances:
            instance.kill()
        await asyncio.to_thread(stores.crash, "redis")
        stores.bring_back_redis_file()
        await asyncio.to_thread(stores.again, "redis")
        people.one, people.two = [
            await asyncio.to_thread(cluster.start, 1, door.port) for door in (people.one, people.two)
        ]
        # Ready, and so certain from the first request on.
        for name, fan in people.gone.items():
            assert await status(fan, people.one) == await status(fan, people.two) == 401, name
        await people.check_the_rest()
