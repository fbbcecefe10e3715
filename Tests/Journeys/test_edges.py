"""What the service says to requests that are not as they should be, and where it believes that they came from."""

import json
import socket
import urllib.parse

import aiohttp
import pytest

from cluster import ROOT, Cluster
from fans import Fan

DESCRIPTION = json.loads((ROOT / "Web/openapi.json").read_text())
METHODS = {"get", "post", "put", "patch", "delete"}


async def ask(instance, method, path, **more):
    async with aiohttp.ClientSession() as session:
        async with session.request(method, instance.url + path, allow_redirects=False, **more) as answer:
            return answer.status, answer.headers, await answer.text()


def raw(instance, request):
    """The answer to bytes, until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", instance.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        return head.decode().splitlines(), body


async def test_a_wrong_method_is_405_and_says_which_are_right(cluster):
    one = cluster.instances[0]
    served = {path: methods for path, methods in DESCRIPTION["paths"].items() if not path.startswith("/oauth/")}
    for path, methods in served.items():
        address = path.replace("{", "").replace("}", "")
        status, headers, body = await ask(one, "PUT", address)
        assert status == 405, (path, status)
        described = {method.upper() for method in methods if method in METHODS}
        described |= {"HEAD"} if "GET" in described else set()
        assert described <= set(headers["Allow"].split(", ")), (path, headers["Allow"])
        problem = json.loads(body)
        assert headers["Content-Type"] == "application/problem+json" and problem["code"] == "METHOD_NOT_ALLOWED"
    assert (await ask(one, "PUT", "/api/nothing"))[0] == 404
    assert (await ask(one, "GET", "/oauth/health"))[0] == 404, "there is no provider here"


@pytest.mark.parametrize("request_bytes, status, code", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n", 431, "HEAD_TOO_LARGE"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 200 + b"\r\n", 431, "HEAD_TOO_LARGE"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, "MALFORMED_REQUEST"),
    (b"what is this\r\n\r\n", 400, "MALFORMED_REQUEST"),
    (b"GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20_000, 431, "HEAD_TOO_LARGE"),
])
def test_what_is_no_request_is_told_so_in_words(cluster, request_bytes, status, code):
    head, body = raw(cluster.instances[0], request_bytes)
    assert head[0].startswith(f"HTTP/1.1 {status} "), head
    assert "content-type: application/problem+json" in [line.lower() for line in head]
    problem = json.loads(body)
    assert problem["status"] == status and problem["code"] == code and problem["detail"]


async def test_bodies_of_another_kind_or_size_are_refused(cluster):
    one = cluster.instances[0]
    login = json.dumps({"user_id": "x", "password": "y" * 300_000})
    status, _, body = await ask(one, "POST", "/api/auth/login", data=login, headers={"Content-Type": "application/json"})
    assert (status, json.loads(body)["code"]) == (413, "PAYLOAD_TOO_LARGE")
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        status, _, body = await ask(one, "POST", "/api/auth/login", data="{}", headers={"Content-Type": kind})
        assert (status, json.loads(body)["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_the_direct_way_and_the_routers_say_the_same(cluster):
    one = cluster.instances[0]
    [token] = cluster.tokens(1)
    mine = {"Authorization": f"Bearer {token}"}
    for headers in (
        mine, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}, mine | {"X-Session-ID": "another"},
    ):
        status, fields, body = await ask(one, "GET", "/api/auth/me", headers=headers)
        other_status, other_fields, other_body = await ask(one, "GET", "/api/auth/me?", headers=headers)
        routed = {name.lower(): value for name, value in other_fields.items()}
        direct = {name.lower(): value for name, value in fields.items()}
        for told in (routed, direct):
            assert told.pop("date").endswith(" GMT")
        assert (status, direct, json.loads(body)) == (other_status, routed, json.loads(other_body))


async def test_a_claim_of_where_one_comes_from_is_believed_from_proxies_only():
    async def address_seen(instance, forwarded):
        account = {"user_id": "hana", "password": "correct horse battery"}
        async with aiohttp.ClientSession(headers={"X-Forwarded-For": forwarded}) as session:
            async with session.post(instance.url + "/api/auth/login", json=account) as answer:
                token = (await answer.json())["access_token"]
        return (await Fan(token).http(instance, "GET", "/api/session/me"))["ip_address"]

    with Cluster() as cluster:
        cluster.create_user("hana")
        assert await address_seen(cluster.instances[0], "203.0.113.9") == "127.0.0.1"
    with Cluster(TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8", MAX_CONNECTIONS_PER_ADDRESS=1) as cluster:
        one = cluster.instances[0]
        cluster.create_user("hana")
        assert await address_seen(one, "203.0.113.9") == "203.0.113.9"
        assert await address_seen(one, "198.51.100.1, 203.0.113.9, 10.0.0.7") == "203.0.113.9"
        # What is counted against one address is not counted against the other, and neither against the proxy.
        wrong = {"user_id": "nobody", "password": "wrong password"}
        await ask(one, "POST", "/api/auth/login", json=wrong, headers={"X-Forwarded-For": "198.51.100.1"})
        counts = sorted(int(cluster.redis("GET", key)) for key in cluster.redis("KEYS", "hf:{address:*}:work").split())
        assert counts == [2, 20], "two right logins of one address, a wrong one of the other"


async def test_the_reference_is_served_with_what_it_needs(cluster):
    one = cluster.instances[0]
    for path, kind in (("/docs", "text/html"), ("/docs/", "text/html"), ("/docs/page.js", "text/javascript"),
                       ("/docs/reference.js", "text/javascript"), ("/docs/reference.css", "text/css"),
                       ("/openapi.json", "application/json")):
        status, headers, body = await ask(one, "GET", path)
        assert status == 200 and headers["Content-Type"].startswith(kind), (path, status, headers.get("Content-Type"))
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert urllib.parse.urlsplit(one.url).netloc not in body and "http://" not in body.replace("http://www.w3", "")
