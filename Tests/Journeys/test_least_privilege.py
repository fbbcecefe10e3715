"""The service's own users at Redis and PostgreSQL: enough to work with, and no more."""

import os
import pathlib
import re
import subprocess
import urllib.parse

import pytest

from cluster import ROOT, Cluster
from fans import Fan

pytestmark = pytest.mark.skipif(
    "HOLDFAST_TEST_SERVICE_REDIS_URL" not in os.environ, reason="the stores were started without the users of Deploy/"
)


def sources(pattern):
    return [path.read_text() for path in pathlib.Path(ROOT / "Sources").rglob(pattern)]


def test_the_acl_names_every_command_that_the_sources_use():
    used = set()
    for text in sources("*.lua"):
        used |= set(re.findall(r'redis\.p?call\(\s*"(\w+)"', text))
    for text in sources("*.swift"):
        used |= set(re.findall(r'RedisCommand\(\s*"([A-Z]+)"', text))
    allowed = set()
    for file in ("users.acl", "sentinel.acl"):
        allowed |= set(re.findall(r"\+([a-z]+)", (ROOT / "Deploy/redis" / file).read_text().splitlines()[1]))
    assert not {name.lower() for name in used} - allowed


def redis_as_service(*command):
    parts = urllib.parse.urlsplit(os.environ["HOLDFAST_TEST_SERVICE_REDIS_URL"])
    return subprocess.run(
        ["redis-cli", "-h", parts.hostname, "-p", str(parts.port), "--user", parts.username, *command],
        env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": parts.password}, capture_output=True, text=True, check=False,
    ).stdout.strip()


@pytest.mark.parametrize("command", [
    "KEYS *", "SCAN 0", "FLUSHALL", "FLUSHDB", "CONFIG GET *", "ACL LIST", "CLIENT KILL TYPE normal", "GET other",
    "SET other 1", "PUBLISH other 1", "SCRIPT FLUSH", "SHUTDOWN", "SWAPDB 0 1", "EVAL redis.call('SET','other','1') 0",
])
def test_redis_refuses_the_service_what_it_does_not_need(command):
    assert re.search("NOPERM|can't access", redis_as_service(*command.split()))


async def test_postgresql_refuses_the_service_what_it_does_not_need():
    with Cluster() as cluster:
        service = cluster.environment["DATABASE_URL"]
        fan = Fan()
        account = {"user_id": "jiho", "password": "long enough", "user_name": "Jiho", "email": "jiho@example.org"}
        await fan.http(cluster.instances[0], "POST", "/api/auth/register", account, expect=201)
        assert cluster.sql("SELECT count(*) FROM audit_log", url=service) != ["0"]
        for statement in (
            "CREATE TABLE mine (a int)", "DROP TABLE users", "ALTER TABLE users ADD COLUMN a int", "TRUNCATE users",
            "UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log",
            "DELETE FROM holdfast_migrations", "INSERT INTO holdfast_migrations SELECT * FROM holdfast_migrations",
            "CREATE ROLE other", "COPY users TO '/tmp/x'", "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        ):
            with pytest.raises(AssertionError, match="permission denied|must be"):
                cluster.sql(statement, url=service)
