"""What a provider could send that must not be believed, and providers that know less than OpenID Connect."""

import base64
import time
import urllib.parse

import pytest

from cluster import Cluster, until
from pretender import Pretender
from provider import Browser

PAGE = "http://localhost:5999/signed-in"


@pytest.fixture(scope="module")
def pretender():
    with Pretender() as running:
        yield running


@pytest.fixture(scope="module")
def shop(pretender):
    with Cluster(**pretender.settings, EXTERNAL_AUTH_REDIRECT_URIS=PAGE) as running:
        yield running.instances[0]


@pytest.fixture(autouse=True)
def honest(pretender):
    yield
    pretender.reset()


def attempt(pretender, instance):
    """A whole sign-in; returns (status, headers, body) of the exchange."""
    browser = Browser()
    status, headers, body = browser.ask(
        "GET", f"{instance.url}/oauth/authorize?" + urllib.parse.urlencode({"redirect_uri": PAGE})
    )
    assert status == 302, (status, body)
    return browser.ask("POST", f"{instance.url}/oauth/token", form=pretender.begin(headers["Location"]))


def me(instance, token):
    return Browser().ask("GET", f"{instance.url}/api/auth/me", headers={"Authorization": f"Bearer {token}"})


def test_the_client_proves_itself_by_a_header_and_the_secret_is_escaped(pretender, shop):
    status, _, body = attempt(pretender, shop)
    assert status == 200 and body["email"] == "s@example.org"
    path, form, headers = next(asked for asked in reversed(pretender.asked) if asked[0] == "/token")
    assert base64.b64decode(headers["Authorization"].split()[1]) == b"holdfast:s3cret%20%26%20more"
    assert "client_secret" not in form and len(form["code_verifier"]) == 43


LIES = {
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "somebody-else"},
    "many audiences and no party": {"aud": ["holdfast", "somebody-else"]},
    "another party": {"azp": "somebody-else"},
    "another nonce": {"nonce": "replayed"},
    "ended": {"exp": int(time.time()) - 120},
    "from the future": {"iat": int(time.time()) + 3_600},
    "too old": {"iat": int(time.time()) - 7_200},
    "not yet": {"nbf": int(time.time()) + 3_600},
    "for another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "an empty subject": {"sub": ""},
    "a subject that is no text": {"sub": 7},
    "an end that is no number": {"exp": "tomorrow"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_in_an_id_token_signs_nobody_in(pretender, shop, lie):
    pretender.claims = LIES[lie]
    status, _, body = attempt(pretender, shop)
    assert (status, body["code"]) == (400, "INVALID_GRANT")


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "exp", "iat", "nonce"])
def test_an_id_token_without_something_it_must_have(pretender, shop, missing):
    pretender.dropped = [missing]
    status, _, body = attempt(pretender, shop)
    assert (status, body["code"]) == (400, "INVALID_GRANT")


def test_signatures_that_are_none(pretender, shop):
    for sign in (
        pretender.with_another_key, pretender.without_signature, pretender.with_the_public_key_as_secret,
        lambda claims: pretender.honestly(claims, typ="logout+jwt"),
        lambda claims: pretender.honestly(claims, typ="at+jwt"),
        lambda claims: pretender.honestly(claims, kid="k2"),
        lambda claims: pretender.honestly(claims, crit=["exp"]),
        lambda claims: pretender.honestly(claims)[:-6], lambda claims: "nonsense", lambda claims: "a.b.c",
    ):
        pretender.sign = sign
        status, _, body = attempt(pretender, shop)
        assert (status, body["code"]) == (400, "INVALID_GRANT")


def test_invented_key_ids_do_not_make_us_ask_again_and_again(pretender, shop):
    pretender.sign = lambda claims: pretender.honestly(claims, kid="invented")
    for _ in range(5):
        attempt(pretender, shop)
    before = sum(path == "/jwks" for path, *_ in pretender.asked)
    for _ in range(5):
        attempt(pretender, shop)
    assert sum(path == "/jwks" for path, *_ in pretender.asked) - before <= 1


@pytest.mark.parametrize("answer", [
    (200, {}, {"access_token": "x", "token_type": "mac"}), (200, {}, {"token_type": "bearer"}), (200, {}, []),
    (200, {}, b"<html>"), (200, {}, {"access_token": 5, "token_type": "bearer"}),
    (200, {}, {"access_token": "x", "token_type": "bearer"}), (400, {}, {"error": "invalid_grant"}),
    (302, {"Location": "http://127.0.0.1:1/"}, {}),
])
def test_token_answers_that_are_none(pretender, shop, answer):
    pretender.answers["/token"] = answer
    status, _, body = attempt(pretender, shop)
    assert (status, body["code"]) == (400, "INVALID_GRANT")


@pytest.mark.parametrize("answer", [
    (200, {}, b" " * 300_000), (401, {}, {"error": "invalid_client"}), (500, {}, {}), (429, {}, {}),
])
def test_token_answers_that_are_the_providers_fault(pretender, shop, answer):
    pretender.answers["/token"] = answer
    status, headers, body = attempt(pretender, shop)
    assert (status, body["code"]) == (503, "PROVIDER_UNAVAILABLE") and int(headers["Retry-After"]) > 0


def test_an_answer_that_drips_is_waited_for_five_seconds_in_all(pretender, shop):
    pretender.answers["/token"] = (200, {}, b" " * 200)
    browser = Browser()
    url = f"{shop.url}/oauth/authorize?" + urllib.parse.urlencode({"redirect_uri": PAGE})
    answer = pretender.begin(browser.ask("GET", url)[1]["Location"])
    pretender.drip = True
    begun = time.monotonic()
    status, _, body = browser.ask("POST", f"{shop.url}/oauth/token", form=answer)
    assert (status, body["code"]) == (503, "PROVIDER_UNAVAILABLE") and 4 < time.monotonic() - begun < 10


def test_a_token_that_only_the_provider_can_read_is_good_as_long_as_it_says(pretender, shop):
    status, _, signed_in = attempt(pretender, shop)
    assert status == 200
    assert me(shop, signed_in["access_token"])[0] == 200
    questions = sum(path == "/introspect" for path, *_ in pretender.asked)
    for _ in range(5):
        assert me(shop, signed_in["access_token"])[0] == 200
    assert sum(path == "/introspect" for path, *_ in pretender.asked) == questions, "believed for a moment"
    pretender.introspection = {"active": False}
    until(lambda: me(shop, signed_in["access_token"])[0] == 401, 15, "the provider's word")


@pytest.mark.parametrize("verdict", [
    {"active": False}, {"active": True, "sub": "subject-2"}, {"active": True, "client_id": "somebody-else"},
])
def test_a_token_of_which_the_provider_says_otherwise_is_refused(pretender, shop, verdict):
    _, _, signed_in = attempt(pretender, shop)
    pretender.introspection = verdict
    assert me(shop, signed_in["access_token"])[0] == 401


@pytest.mark.parametrize("answer", [(500, {}, {}), (200, {}, {}), (200, {}, b"[]"), (401, {}, {})])
def test_no_verdict_is_not_a_good_one(pretender, shop, answer):
    _, _, signed_in = attempt(pretender, shop)
    pretender.answers["/introspect"] = answer
    status, _, body = me(shop, signed_in["access_token"])
    assert (status, body["code"]) == (503, "PROVIDER_UNAVAILABLE")


def test_a_strangers_token_is_refused_without_asking_anybody(pretender, shop):
    before = len(pretender.asked)
    assert me(shop, "opaque-of-somebody")[0] == 401
    assert len(pretender.asked) == before


@pytest.mark.parametrize("change", [
    {"issuer": "https://evil.example"}, {"token_endpoint": "http://127.0.0.1:1/token"},
    {"jwks_uri": "https://evil.example/jwks"}, {"userinfo_endpoint": "http://user@127.0.0.1/"},
    {"token_endpoint": "file:///etc/passwd"},
])
def test_a_discovery_document_that_leads_elsewhere_is_not_followed(change):
    with Pretender() as pretender:
        pretender.discovery |= change
        with Cluster(**pretender.settings, EXTERNAL_AUTH_REDIRECT_URIS=PAGE) as shop:
            url = f"{shop.instances[0].url}/oauth/authorize?" + urllib.parse.urlencode({"redirect_uri": PAGE})
            status, _, body = Browser().ask("GET", url)
            assert (status, body["code"]) == (503, "PROVIDER_UNAVAILABLE")


def test_a_provider_without_discovery_and_id_tokens():
    with Pretender(discovery=False) as pretender:
        pretender.profile = {"id": 4711, "username": "somebody", "roles": ["vip"], "permissions": "buy,sell"}
        extra = {"EXTERNAL_AUTH_ENDPOINTS": "userinfo=/api/v1/auth/me", "EXTERNAL_AUTH_SCOPES": "profile"}
        with Cluster(**pretender.settings, EXTERNAL_AUTH_REDIRECT_URIS=PAGE, **extra) as shop:
            instance = shop.instances[0]
            status, _, signed_in = attempt(pretender, instance)
            assert status == 200, signed_in
            assert signed_in["user_name"] == "somebody" and signed_in["roles"] == ["vip"]
            assert signed_in["permissions"] == ["buy", "sell"]
            assert me(instance, signed_in["access_token"])[0] == 200
            pretender.answers["/api/v1/auth/me"] = (401, {}, {})
            until(lambda: me(instance, signed_in["access_token"])[0] == 401, 15, "the provider's word")
