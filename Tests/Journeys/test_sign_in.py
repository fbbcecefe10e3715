"""Who may come in, on every instance."""

import base64
import json
import time

import aiohttp
import jwt

from cluster import Cluster
from fans import Fan, Refused, everybody_leaves


def forged(token):
    """Tokens that look like ours and are not."""
    claims = jwt.decode(token, options={"verify_signature": False})
    head, body, signature = token.split(".")

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    none = f'{part({"alg": "none", "typ": "at+jwt"})}.{body}.'
    return {
        "another key": jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"typ": "at+jwt"}),
        "alg none": none,
        "alg none with the signature": none + signature,
        "truncated": token[:-4],
        "cut in the middle": token[: len(token) // 2],
        "changed claims": f'{head}.{part(claims | {"sub": "admin"})}.{signature}',
        "no token at all": "nonsense",
        "dots only": "..",
    }


async def test_register_login_me_and_logout_ends_the_session_on_every_instance(cluster):
    one, two, _ = cluster.instances
    account = {"user_id": "jiho", "password": "long enough", "user_name": "Jiho", "email": "jiho@example.org"}
    fan = Fan()
    user = await fan.http(one, "POST", "/api/auth/register", account, expect=201)
    assert user["user_id"] == "jiho" and "password" not in json.dumps(user)
    again = await fan.http(two, "POST", "/api/auth/register", account, expect=409)
    assert again["code"] == "USER_EXISTS"
    signed_in = await fan.http(two, "POST", "/api/auth/login", {"user_id": "jiho", "password": "long enough"})
    assert signed_in["token_type"] == "bearer" and signed_in["refresh_token"] and signed_in["session_id"]
    fan.token = signed_in["access_token"]
    assert (await fan.http(one, "GET", "/api/auth/me"))["user_name"] == "Jiho"
    await fan.connect(one)
    assert (await fan.http(two, "POST", "/api/auth/logout"))["message"] == "Successfully logged out"
    await fan.hears("(disconnected)", within=2)
    assert not fan.heard("force-logout"), "one's own logout needs no explanation"
    await fan.http(one, "GET", "/api/auth/me", expect=401)


async def test_the_other_devices_are_told_when_all_are_signed_out(cluster):
    one, two, three = cluster.instances
    cluster.create_user("haneul")
    phone = await Fan().login(one, "haneul")
    tablet = await Fan().login(two, "haneul")
    await phone.connect(three)
    await tablet.http(two, "POST", "/api/v1/auth/logout/all")
    assert (await phone.hears("force-logout", within=2))["reason"] == "logout-all"
    await phone.hears("(disconnected)", within=2)
    await phone.http(one, "GET", "/api/auth/me", expect=401)


async def test_forged_tokens_are_refused_over_http_and_at_the_handshake(cluster):
    one = cluster.instances[0]
    [token] = cluster.tokens(1)
    for kind, forgery in forged(token).items():
        try:
            await Fan(forgery).http(one, "GET", "/api/auth/me", expect=401)
        except Refused as refused:
            raise AssertionError(f"{kind}: {refused}") from None
        refusal = await Fan(forgery).is_refused(one)
        assert refusal == {"message": "Invalid authentication token", "data": {"code": "INVALID_TOKEN"}}, kind
    refusal = await Fan().is_refused(one)
    assert refusal == {"message": "Authentication required", "data": {"code": "AUTHENTICATION_REQUIRED"}}


async def test_an_expired_access_token_is_refused_and_a_refresh_signs_in_again():
    with Cluster(ACCESS_TOKEN_TTL=1) as cluster:
        one = cluster.instances[0]
        cluster.create_user("sora")
        fan = await Fan().login(one, "sora")
        deadline = time.monotonic() + 5
        while True:
            try:
                await fan.http(one, "GET", "/api/auth/me", expect=401)
                break
            except Refused:
                assert time.monotonic() < deadline, "the token never expired"
        pair = await fan.http(one, "POST", "/api/auth/refresh", {"refresh_token": fan.signed_in["refresh_token"]})
        fan.token = pair["access_token"]
        await fan.http(one, "GET", "/api/auth/me")


async def test_a_session_that_runs_out_closes_its_sockets_within_a_second():
    with Cluster(SESSION_TTL=2, SESSION_REFRESH_THRESHOLD=0) as cluster:
        one = cluster.instances[0]
        cluster.create_user("bora")
        fan = await Fan().login(one, "bora")
        await fan.connect(one)
        await fan.hears("(disconnected)", within=5)
        assert fan.heard("force-logout")[0]["reason"] == "session-ended"


async def test_cookies_sign_in_and_need_the_csrf_token_to_change_anything(cluster):
    one = cluster.instances[0]
    cluster.create_user("yuna")
    login = {"user_id": "yuna", "password": "correct horse battery"}
    async with aiohttp.ClientSession() as session:
        async with session.post(one.url + "/api/auth/login", json=login) as answer:
            cookies = {morsel.key: morsel for morsel in answer.cookies.values()}
    session_cookie, csrf = cookies["__Host-holdfast"], cookies["__Host-holdfast-csrf"]
    assert session_cookie["secure"] and session_cookie["httponly"] and session_cookie["samesite"] == "Lax"
    assert csrf["secure"] and not csrf["httponly"] and csrf["path"] == "/"
    cookie = {"Cookie": f"__Host-holdfast={session_cookie.value}"}
    fan = Fan()
    await fan.http(one, "GET", "/api/auth/me", headers=cookie)
    refused = await fan.http(one, "POST", "/api/session/refresh", headers=cookie, expect=403)
    assert refused["code"] == "CSRF_TOKEN_MISSING"
    own = cookie | {"X-CSRF-Token": csrf.value}
    await fan.http(one, "POST", "/api/session/refresh", headers=own)
    for origin in ("https://evil.example", "null"):
        await fan.http(one, "POST", "/api/session/refresh", headers=own | {"Origin": origin}, expect=403)
    await everybody_leaves(fan)
