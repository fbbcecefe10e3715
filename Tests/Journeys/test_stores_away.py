"""A store that is away lets nobody in, is said so, and leaves nothing half done."""

import asyncio
import os
import signal
import time
import urllib.parse

import aiohttp
import pytest

from cluster import PASSWORD, until
from fans import Fan
from own_stores import OwnStores


@pytest.fixture(scope="module")
def stores():
    with OwnStores() as running:
        yield running


async def ask(instance, method, path, body=None, token=None):
    """Status, header fields and body of an answer, which must come within half a minute."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.request(method, instance.url + path, json=body, headers=headers) as answer:
            return answer.status, answer.headers, await answer.json(content_type=None)


async def is_away(instance, method, path, body=None, token=None):
    status, headers, problem = await ask(instance, method, path, body, token)
    assert status == 503, (method, path, status, problem)
    assert int(headers["Retry-After"]) >= 1
    assert headers["Content-Type"] == "application/problem+json" and problem["code"] == "UNAVAILABLE"
    assert "postgres" not in str(problem).lower() and "redis" not in str(problem).lower()


def account(name):
    return {"user_id": name, "password": PASSWORD, "user_name": name, "email": f"{name}@example.org"}


async def is_back(instance, login):
    async def works():
        return (await ask(instance, "POST", "/api/auth/login", login))[0] == 200

    for _ in range(60):
        if await works():
            return
    raise AssertionError("the service did not come back with its stores")


async def test_without_postgresql_nobody_comes_in_and_nothing_is_half_done(stores):
    with stores.cluster(instances=2) as cluster:
        one, two = cluster.instances
        cluster.create_user("mina")
        fan = await Fan().login(one, "mina")
        await fan.http(one, "GET", "/api/auth/me")
        refresh = {"refresh_token": fan.signed_in["refresh_token"]}
        login = {"user_id": "mina", "password": PASSWORD}
        with stores.frozen("postgres"):
            # The account was seen here a moment ago; the other instance has to ask, and cannot.
            await fan.http(one, "GET", "/api/auth/me")
            await is_away(two, "GET", "/api/auth/me", token=fan.token)
            await is_away(one, "POST", "/api/auth/login", login)
            await is_away(one, "POST", "/api/auth/refresh", refresh)
            await is_away(one, "POST", "/api/auth/register", account("new"))
            await is_away(one, "POST", "/api/auth/logout", token=fan.token)
        await is_back(one, login)
        # The refresh token was not used up, and the account that could not be made can be made now.
        await fan.http(two, "POST", "/api/auth/refresh", refresh)
        status, _, _ = await ask(two, "POST", "/api/auth/register", account("new"))
        assert status in (201, 409)
        if status == 409:
            assert (await ask(two, "POST", "/api/auth/login", account("new")))[0] == 200, "made whole, or not at all"


async def test_what_is_known_of_an_account_is_believed_for_thirty_seconds_and_no_longer(stores):
    with stores.cluster() as cluster:
        one = cluster.instances[0]
        [token] = cluster.tokens(1)
        fan = Fan(token)
        await fan.http(one, "GET", "/api/auth/me")
        statuses = set()
        with stores.frozen("postgres"):
            began = time.monotonic()
            while time.monotonic() - began < 45:
                status, headers, _ = await ask(one, "GET", "/api/auth/me", token=token)
                statuses.add(status)
                if status == 503:
                    assert headers["Retry-After"]
                    break
                await asyncio.sleep(1)
            assert statuses == {200, 503}, statuses


async def test_without_redis_nobody_comes_in_over_http_or_a_socket(stores):
    with stores.cluster() as cluster:
        one = cluster.instances[0]
        cluster.create_user("duri")
        fan = await Fan().login(one, "duri")
        login = {"user_id": "duri", "password": PASSWORD}
        refresh = {"refresh_token": fan.signed_in["refresh_token"]}
        await fan.connect(one)
        with stores.frozen("redis"):
            await is_away(one, "GET", "/api/auth/me", token=fan.token)
            await is_away(one, "POST", "/api/auth/login", login)
            await is_away(one, "POST", "/api/auth/refresh", refresh)
            await is_away(one, "POST", "/api/auth/register", account("nobody"))
            await is_away(one, "POST", "/api/v1/auth/logout", {}, token=fan.token)
            refused = await Fan(fan.token).is_refused(one)
            assert refused["data"]["code"] == "UNAVAILABLE"
            assert fan.socket.connected, "a store that is away ends no session"
        await is_back(one, login)
        # No account was made of which its owner was told that it was not.
        assert cluster.sql("SELECT count(*) FROM users WHERE user_id = 'nobody'") == ["0"]
        await fan.http(one, "POST", "/api/auth/refresh", refresh)
        await fan.http(one, "GET", "/api/auth/me")
        await fan.leave()


async def test_one_request_is_one_round_trip_to_redis(stores):
    with stores.cluster() as cluster:
        one = cluster.instances[0]
        cluster.create_user("sana")
        fan = await Fan().login(one, "sana")
        await fan.http(one, "GET", "/api/auth/me")

        # Every command is slow enough for this log, so that it counts them.
        cluster.redis("CONFIG", "SET", "slowlog-max-len", "4096")
        cluster.redis("CONFIG", "SET", "slowlog-log-slower-than", "0")
        cluster.redis("SLOWLOG", "RESET")
        # The one takes the direct way, the other the router's.
        for path in ("/api/auth/me", "/api/auth/me?x=1"):
            for _ in range(20):
                await fan.http(one, "GET", path)
        cluster.redis("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        # An entry ends with its client's address and name; commands within a script have no client.
        log = cluster.redis("SLOWLOG", "GET", "-1").replace("\n\n", "\n").split("\nholdfast\n")
        commands = [entry.split("?:0\n")[-1] for entry in log if "EVALSHA" in entry or "{user:sana}" in entry]
        mine = [command for command in commands if "{user:sana}" in command.split("?:0")[-1]]
        # One for each of the forty; what writes accesses down may come in between, at most once in five seconds.
        assert 40 <= len(mine) <= 42, len(mine)
        assert all("EVALSHA" in command for command in mine)


async def test_a_provider_is_no_way_around_redis(stores):
    settings = {
        "EXTERNAL_AUTH_URL": "http://127.0.0.1:9", "EXTERNAL_AUTH_CLIENT_ID": "holdfast",
        "EXTERNAL_AUTH_CLIENT_SECRET": "secret", "EXTERNAL_AUTH_REDIRECT_URIS": "http://localhost:5999/signed-in",
    }
    with stores.cluster(**settings) as cluster:
        one = cluster.instances[0]
        begin = "/oauth/authorize?" + urllib.parse.urlencode({"redirect_uri": settings["EXTERNAL_AUTH_REDIRECT_URIS"]})
        with stores.frozen("redis"):
            await is_away(one, "GET", begin)
            await is_away(one, "POST", "/oauth/token", {"code": "c", "state": "s"})
            await is_away(one, "POST", "/oauth/revoke", {"token": "t"})
            await is_away(one, "GET", "/oauth/userinfo", token="t")
            await is_away(one, "POST", "/oauth/token/validate", {"token": "t"})


async def test_a_killed_redis_is_503_at_once_and_a_killed_postgresql_too():
    with OwnStores() as stores, stores.cluster() as cluster:
        one = cluster.instances[0]
        cluster.create_user("haru")
        fan = await Fan().login(one, "haru")
        login = {"user_id": "haru", "password": PASSWORD}
        await fan.http(one, "GET", "/api/auth/me")
        os.kill(stores.postgres, signal.SIGKILL)
        until(lambda: not os.path.exists(f"/proc/{stores.postgres}/fd"), 10, "PostgreSQL ending")
        await is_away(one, "POST", "/api/auth/login", login)
        await fan.http(one, "GET", "/api/auth/me")
        os.kill(stores.redis, signal.SIGKILL)
        await is_away(one, "GET", "/api/auth/me", token=fan.token)
        await is_away(one, "POST", "/api/auth/login", login)
        await one_end(cluster)


async def one_end(cluster):
    """The stores are gone, so what the cluster would tidy up is gone with them."""
    for instance in cluster.instances:
        instance.kill()
    cluster.sql = lambda *_, **__: []
    cluster.redis = lambda *_: ""
