"""Signing in at a real provider, and what its tokens are good for here."""

import base64
import concurrent.futures
import hashlib
import secrets
import urllib.parse

import jwt
import pytest

from cluster import Cluster, until
from fans import Fan
from provider import CLIENT_ID, IS_INSTALLED, Browser, Provider

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="glewlwyd is not installed")

PAGE = "http://localhost:5999/signed-in"
GOODBYE = "http://localhost:5999/goodbye"


@pytest.fixture(scope="module")
def provider():
    with Provider([PAGE], GOODBYE) as running:
        yield running


@pytest.fixture(scope="module")
def shop(provider):
    """Two instances in front of the provider."""
    with Cluster(instances=2, **settings(provider)) as running:
        yield running


def settings(provider, **more):
    return provider.settings | {
        "EXTERNAL_AUTH_REDIRECT_URIS": PAGE, "EXTERNAL_AUTH_LOGOUT_URIS": GOODBYE,
        "EXTERNAL_AUTH_SCOPES": "openid tickets",
    } | more


def query(url):
    return {name: values[0] for name, values in urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).items()}


class Visitor:
    """A browser, and the page in it."""

    def __init__(self, provider, name="jiho"):
        self.provider, self.browser = provider, Browser()
        provider.sign_in(self.browser, name)

    def begin(self, instance, expect=302, **parameters):
        url = f"{instance.url}/oauth/authorize?" + urllib.parse.urlencode({"redirect_uri": PAGE} | parameters)
        status, headers, answer = self.browser.ask("GET", url)
        assert status == expect, (status, answer)
        return headers["Location"] if expect == 302 else answer

    def come_back(self, location):
        """Through the provider's page; returns what it sends the browser back with."""
        back = self.provider.consent(self.browser, location)
        assert back.startswith(PAGE + "?")
        answer = query(back)
        return {"code": answer["code"], "state": answer["state"], "iss": answer["iss"]}

    def exchange(self, instance, answer, expect=200, **more):
        status, _, body = self.browser.ask("POST", f"{instance.url}/oauth/token", form={
            "grant_type": "authorization_code", "redirect_uri": PAGE,
        } | answer | more)
        assert status == expect, (status, body)
        return body

    def sign_in(self, one, two=None):
        return self.exchange(two or one, self.come_back(self.begin(one)))

    def ask(self, method, url, token=None, expect=200, **arguments):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        status, headers, body = self.browser.ask(method, url, headers=headers, **arguments)
        assert status == expect, (status, body)
        return body if expect != 302 else headers["Location"]


def fresh(visitor):
    """Without the cookies: only the token speaks."""
    other = Visitor.__new__(Visitor)
    other.provider, other.browser = visitor.provider, Browser()
    return other


def test_from_the_providers_page_to_a_session_on_every_instance(provider, shop):
    one, two = shop.instances
    visitor = Visitor(provider)
    location = visitor.begin(one)
    asked = query(location)
    assert location.startswith(provider.issuer + "/auth?")
    assert asked["client_id"] == CLIENT_ID and asked["code_challenge_method"] == "S256" and asked["nonce"]
    assert provider.client_secret not in location
    signed_in = visitor.exchange(two, visitor.come_back(location))
    assert signed_in["session_id"] and signed_in["token_type"] == "bearer"
    assert signed_in["user_name"] == "Jiho Kim" and signed_in["email"] == "jiho@example.org"
    assert signed_in["groups"] == ["members", "ops"] and "tickets" in signed_in["permissions"]
    assert signed_in["role"] == "user"

    page = fresh(visitor)
    me = page.ask("GET", f"{one.url}/api/auth/me", signed_in["access_token"])
    assert me["user_id"] == signed_in["user_id"].lower() and me["user_id"].startswith("ext-")
    own = page.ask("GET", f"{two.url}/api/v1/auth/sessions", signed_in["access_token"])
    assert [device["session_id"] for device in own["sessions"] if device["current"]] == [signed_in["session_id"]]
    assert visitor.ask("GET", f"{one.url}/api/auth/me")["user_id"] == me["user_id"], "the cookie signs in, too"
    info = page.ask("GET", f"{two.url}/oauth/userinfo", signed_in["access_token"])
    assert info["name"] == "Jiho Kim" and info["session_id"] == signed_in["session_id"]
    verdict = page.ask("POST", f"{one.url}/oauth/token/validate", body={"token": signed_in["access_token"]})
    assert verdict["valid"] and verdict["user_id"] == me["user_id"] and verdict["groups"] == ["members", "ops"]
    for forgery in (signed_in["access_token"][:-4], signed_in["id_token"], signed_in["refresh_token"], "nonsense"):
        page.ask("GET", f"{one.url}/api/auth/me", forgery, expect=401)
        assert not page.ask("POST", f"{one.url}/oauth/token/validate", form={"token": forgery})["valid"]

    keys = shop.redis("--scan", "--pattern", "*oauth*").split()
    assert keys and not any(signed_in["access_token"] in key for key in keys)
    again = Visitor(provider).sign_in(one)
    assert again["user_id"] == me["user_id"], "one subject, one account"


def test_signing_out_here_ends_it_there_too(provider, shop):
    one, two = shop.instances
    visitor = Visitor(provider)
    signed_in = visitor.sign_in(one)
    page = fresh(visitor)
    answer = page.ask(
        "POST", f"{two.url}/oauth/logout", signed_in["access_token"],
        form={"post_logout_redirect_uri": GOODBYE, "state": "bye"},
    )
    there = query(answer["logout_url"])
    assert answer["logout_url"].startswith(provider.issuer + "/end_session?")
    assert there["post_logout_redirect_uri"] == GOODBYE and there["id_token_hint"] == signed_in["id_token"]
    page.ask("GET", f"{one.url}/api/auth/me", signed_in["access_token"], expect=401)
    page.ask("GET", f"{provider.issuer}/userinfo", signed_in["access_token"], expect=401)
    page.ask(
        "POST", f"{one.url}/oauth/token", expect=400,
        form={"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]},
    )
    dead = [key for key in shop.redis("--scan", "--pattern", "hf:{oauth:*}:dead").split()]
    lives = [int(shop.redis("PTTL", key)) for key in dead]
    assert any(590_000 < life <= 600_000 for life in lives), "the access token is blacklisted for its remaining life"


async def test_however_a_session_ends_here_its_tokens_are_taken_back_there(provider, shop):
    one, two = shop.instances
    shop.create_user("warden", "super_admin")
    warden = await Fan().login(one, "warden")

    def is_revoked(page, token):
        return page.browser.ask("GET", f"{provider.issuer}/userinfo", headers={"Authorization": f"Bearer {token}"})[0] == 401

    visitor = Visitor(provider)
    signed_in = visitor.sign_in(one)
    page = fresh(visitor)
    assert not is_revoked(page, signed_in["access_token"])
    await warden.http(two, "DELETE", f"/api/session/user/{signed_in['user_id']}")
    page.ask("GET", f"{one.url}/api/auth/me", signed_in["access_token"], expect=401)
    until(lambda: is_revoked(page, signed_in["access_token"]), 10, "an administrator's act reaching the provider")
    again = Visitor(provider).sign_in(one)
    page.ask("POST", f"{two.url}/api/auth/logout", again["access_token"])
    until(lambda: is_revoked(page, again["access_token"]), 10, "a plain logout reaching the provider")


def test_a_rotated_session_is_still_signed_out_there(provider, shop):
    one, two = shop.instances
    visitor = Visitor(provider)
    signed_in = visitor.sign_in(one)
    page = fresh(visitor)
    rotated = page.ask("POST", f"{one.url}/api/v1/auth/sessions/rotate", signed_in["access_token"])
    page.ask("GET", f"{two.url}/api/auth/me", signed_in["access_token"], expect=401)
    page.ask("GET", f"{two.url}/api/auth/me", rotated["access_token"])
    answer = page.ask("POST", f"{two.url}/oauth/logout", rotated["access_token"], form={})
    assert query(answer["logout_url"])["id_token_hint"] == signed_in["id_token"]
    page.ask("GET", f"{provider.issuer}/userinfo", signed_in["access_token"], expect=401)


def test_the_service_may_ask_for_a_group_that_the_provider_gives(provider):
    with Cluster(**settings(provider, REQUIRED_GROUP="Members")) as shop:
        one = shop.instances[0]
        page = fresh(Visitor(provider))
        member, stranger = Visitor(provider).sign_in(one), Visitor(provider, "mallory").sign_in(one)
        assert page.ask("GET", f"{one.url}/api/auth/me", member["access_token"])["groups"] == ["members", "ops"]
        page.ask("GET", f"{one.url}/api/auth/me", stranger["access_token"], expect=403)


def test_signing_out_by_a_link_leads_through_the_provider(provider, shop):
    one = shop.instances[0]
    visitor = Visitor(provider)
    visitor.sign_in(one)
    link = f"{one.url}/oauth/logout?" + urllib.parse.urlencode({"post_logout_redirect_uri": GOODBYE})
    status, _, body = visitor.browser.ask("GET", link, headers={"Sec-Fetch-Site": "cross-site"})
    assert (status, body["code"]) == (403, "ORIGIN_NOT_ALLOWED")
    elsewhere = link.replace("goodbye", "evil")
    assert visitor.ask("GET", elsewhere, expect=400)["code"] == "REDIRECT_NOT_ALLOWED"
    assert visitor.ask("GET", link, expect=302).startswith(provider.issuer + "/end_session?")
    visitor.ask("GET", f"{one.url}/api/auth/me", expect=401)


def test_a_state_is_good_once_and_in_its_own_browser_only(provider, shop):
    one, two = shop.instances
    visitor, thief = Visitor(provider), Visitor(provider, "mallory")
    answer = visitor.come_back(visitor.begin(one))
    assert visitor.exchange(one, answer | {"state": "invented"}, expect=400)["code"] == "INVALID_STATE"
    assert thief.exchange(one, answer, expect=400)["code"] == "INVALID_STATE", "no cookie"
    thief.begin(one)
    assert thief.exchange(one, answer, expect=400)["code"] == "INVALID_STATE", "another browser's cookie"
    visitor.exchange(two, answer)
    refused = visitor.exchange(one, answer, expect=400)
    assert refused["code"] == "INVALID_STATE" and refused["error"] == "invalid_grant"


def test_a_code_is_good_once_whatever_the_state(provider, shop):
    one, two = shop.instances
    visitor = Visitor(provider)
    used = visitor.come_back(visitor.begin(one))
    visitor.exchange(one, used)
    other = visitor.come_back(visitor.begin(two))
    assert visitor.exchange(two, other | {"code": used["code"]}, expect=400)["code"] == "INVALID_GRANT"
    assert visitor.exchange(two, other, expect=400)["code"] == "INVALID_STATE", "the state was used up by the attempt"


def test_a_page_may_bring_its_own_proof_key(provider, shop):
    one, two = shop.instances
    visitor = Visitor(provider)
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    location = visitor.begin(one, state="abc", code_challenge=challenge, code_challenge_method="S256")
    assert query(location)["state"] == "abc" and query(location)["code_challenge"] == challenge
    answer = visitor.come_back(location)
    page = fresh(visitor)
    page.exchange(two, answer, expect=400, code_verifier=secrets.token_urlsafe(48))
    page.exchange(two, answer, expect=400)
    assert page.exchange(two, answer, code_verifier=verifier)["session_id"]
    plain = visitor.begin(one, expect=422, code_challenge=verifier, code_challenge_method="plain")
    assert plain["errors"][0]["field"] == "code_challenge_method"


def test_only_registered_addresses_letter_by_letter(provider, shop):
    one = shop.instances[0]
    visitor = Visitor(provider)
    for foreign in (
        "https://evil.example/", PAGE + "/", PAGE + "?x=1", PAGE.upper(), "//localhost:5999/signed-in",
        "http://localhost:5999@evil.example/signed-in", "javascript:alert(1)", PAGE + "#", PAGE[:-1],
    ):
        assert visitor.begin(one, expect=400, redirect_uri=foreign)["code"] == "REDIRECT_NOT_ALLOWED", foreign
    answer = visitor.come_back(visitor.begin(one))
    assert visitor.exchange(one, answer, expect=400, redirect_uri="https://evil.example/")["code"] == "INVALID_GRANT"
    answer = visitor.come_back(visitor.begin(one))
    assert visitor.exchange(one, answer | {"iss": "https://evil.example"}, expect=400)["code"] == "INVALID_STATE"
    status, _, body = visitor.browser.ask(
        "POST", f"{one.url}/oauth/token", form={"code": "c", "state": "s"}, headers={"Origin": "https://evil.example"},
    )
    assert (status, body["code"]) == (403, "ORIGIN_NOT_ALLOWED")


def test_an_address_that_was_not_verified_is_not_believed(provider, shop):
    signed_in = Visitor(provider, "mallory").sign_in(shop.instances[0])
    assert signed_in["email"].endswith("@unverified.invalid")
    jiho = Visitor(provider).sign_in(shop.instances[0])
    assert signed_in["user_id"] != jiho["user_id"]


def test_refreshing_keeps_the_session_and_two_tabs_get_the_same(provider, shop):
    one, two = shop.instances
    visitor = Visitor(provider)
    signed_in = visitor.sign_in(one)
    form = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}
    page = fresh(visitor)
    first = page.ask("POST", f"{one.url}/oauth/token", form=form)
    second = page.ask("POST", f"{two.url}/oauth/token", form=form)
    assert first["session_id"] == signed_in["session_id"] and first["access_token"] != signed_in["access_token"]
    assert second["access_token"] == first["access_token"], "a second tab gets what the first got"
    page.ask("GET", f"{two.url}/api/auth/me", first["access_token"])
    # The refresh brought a cookie of its own, so who signed in by it stays, too.
    assert page.ask("GET", f"{one.url}/api/auth/me")["user_id"] == signed_in["user_id"]
    own = page.ask("GET", f"{one.url}/api/v1/auth/sessions")
    assert [device["session_id"] for device in own["sessions"] if device["current"]] == [signed_in["session_id"]]


def test_many_refreshes_at_one_moment_are_one_exchange(provider, shop):
    signed_in = Visitor(provider).sign_in(shop.instances[0])
    form = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}

    def refresh(number):
        return Browser().ask("POST", f"{shop.instances[number % 2].url}/oauth/token", form=form)

    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(refresh, range(12)))
    assert [status for status, *_ in answers] == [200] * 12
    assert len({body["access_token"] for *_, body in answers}) == 1


def test_revoking_an_access_token_kills_it_and_revoking_the_grant_ends_the_session(provider, shop):
    one, two = shop.instances
    visitor = Visitor(provider)
    signed_in = visitor.sign_in(one)
    page = fresh(visitor)
    page.ask("GET", f"{two.url}/api/auth/me", signed_in["access_token"])
    page.ask("POST", f"{one.url}/oauth/revoke", form={"token": signed_in["access_token"]})
    page.ask("GET", f"{two.url}/api/auth/me", signed_in["access_token"], expect=401)
    page.ask("POST", f"{one.url}/oauth/revoke", form={"token": "never heard of"})
    visitor.ask("GET", f"{one.url}/api/auth/me")
    page.ask("POST", f"{one.url}/oauth/revoke", form={"token": signed_in["refresh_token"]})
    visitor.ask("GET", f"{one.url}/api/auth/me", expect=401)


async def test_the_providers_token_opens_a_socket_and_the_end_of_the_session_closes_it(provider, shop):
    one, two = shop.instances
    signed_in = Visitor(provider).sign_in(one)
    fan = await Fan(signed_in["access_token"]).connect(two)
    await fan.http(one, "POST", "/oauth/logout", {})
    await fan.hears("(disconnected)", within=2)
    refusal = await Fan(signed_in["access_token"]).is_refused(one)
    assert refusal["data"]["code"] in ("INVALID_TOKEN", "SESSION_EXPIRED")


def test_an_account_that_was_disabled_here_is_disabled_whatever_the_provider_says(provider, shop):
    one = shop.instances[0]
    provider.create_person("sora", "Sora", "sora@example.org", groups=[], verified="yes")
    visitor = Visitor(provider, "sora")
    signed_in = visitor.sign_in(one)
    shop.sql(f"UPDATE users SET active = false WHERE user_id = '{signed_in['user_id']}'")
    answer = visitor.come_back(visitor.begin(one))
    assert visitor.exchange(one, answer, expect=401)["code"] == "ACCOUNT_DISABLED"


def test_new_keys_of_the_provider_are_fetched_when_a_token_names_them(provider, shop):
    provider.use_key(provider.new_key("second"))
    signed_in = Visitor(provider).sign_in(shop.instances[0])
    assert jwt.get_unverified_header(signed_in["id_token"])["kid"] == "second"


def test_a_logout_at_the_provider_ends_the_session_here(provider, shop):
    one = shop.instances[0]
    provider.notify_of_logouts(f"{one.url}/oauth/backchannel-logout")
    visitor = Visitor(provider)
    signed_in = visitor.sign_in(one)
    page = fresh(visitor)
    page.ask("GET", f"{one.url}/api/auth/me", signed_in["access_token"])
    provider.end_session(visitor.browser, signed_in["id_token"])

    def is_out():
        status, *_ = page.browser.ask(
            "GET", f"{one.url}/api/auth/me", headers={"Authorization": f"Bearer {signed_in['access_token']}"}
        )
        return status == 401

    until(is_out, 5, "the logout at the provider")
    page.ask("POST", f"{one.url}/oauth/backchannel-logout", form={"logout_token": signed_in["id_token"]}, expect=400)


def test_who_is_not_in_the_group_gets_no_session():
    with Provider([PAGE]) as provider, Cluster(**settings(provider, EXTERNAL_AUTH_GROUP="members")) as shop:
        one = shop.instances[0]
        assert Visitor(provider).sign_in(one)["session_id"]
        stranger = Visitor(provider, "mallory")
        refused = stranger.exchange(one, stranger.come_back(stranger.begin(one)), expect=403)
        assert refused["code"] == "GROUP_REQUIRED" and refused["error"] == "access_denied"
        assert shop.sql("SELECT facts->>'reason' FROM audit_log WHERE action = 'sign-in.refused'") == ["group"]


def test_an_access_token_ends_when_the_provider_said():
    with Provider([PAGE], access_token_seconds=2) as provider, Cluster(**settings(provider)) as shop:
        one = shop.instances[0]
        visitor = Visitor(provider)
        signed_in = visitor.sign_in(one)
        page = fresh(visitor)
        page.ask("GET", f"{one.url}/api/auth/me", signed_in["access_token"])

        def has_ended():
            status, *_ = page.browser.ask(
                "GET", f"{one.url}/api/auth/me", headers={"Authorization": f"Bearer {signed_in['access_token']}"}
            )
            return status == 401

        until(has_ended, 4, "the end of the token")
        form = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}
        fresh_tokens = page.ask("POST", f"{one.url}/oauth/token", form=form)
        page.ask("GET", f"{one.url}/api/auth/me", fresh_tokens["access_token"])


@pytest.mark.parametrize("failure", ["killed", "silent"])
def test_a_provider_that_does_not_answer_lets_nobody_in(failure):
    always = {"EXTERNAL_AUTH_INTROSPECTION": "always"}
    with Provider([PAGE]) as provider, Cluster(instances=2, **settings(provider, **always)) as shop:
        one, two = shop.instances
        visitor = Visitor(provider)
        signed_in = visitor.sign_in(one)
        begun = visitor.come_back(visitor.begin(one))
        if failure == "killed":
            provider.kill()
        else:
            provider.stop_answering()
        page = fresh(visitor)
        status, headers, body = page.browser.ask(
            "GET", f"{two.url}/api/auth/me", headers={"Authorization": f"Bearer {signed_in['access_token']}"}
        )
        assert (status, body["code"]) == (503, "PROVIDER_UNAVAILABLE") and int(headers["Retry-After"]) > 0
        assert visitor.exchange(one, begun, expect=503)["code"] == "PROVIDER_UNAVAILABLE"
        page.ask("GET", f"{one.url}/oauth/health", expect=503)
        # What needs no provider goes on: the session itself, by its cookie.
        visitor.ask("GET", f"{one.url}/api/auth/me")
        if failure == "killed":
            provider.start()
        else:
            provider.answer_again()
        until(lambda: page.browser.ask("GET", f"{one.url}/oauth/health")[0] == 200, 15, "the provider's return")
        until(
            lambda: page.browser.ask(
                "GET", f"{two.url}/api/auth/me", headers={"Authorization": f"Bearer {signed_in['access_token']}"}
            )[0] == 200, 15, "the token's return",
        )


def test_without_a_provider_there_is_nothing():
    with Cluster() as shop:
        assert Browser().ask("GET", f"{shop.instances[0].url}/oauth/health")[0] == 404
