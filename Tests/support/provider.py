"""A real OpenID provider for the journeys: Debian's glewlwyd, on a free port, with a database in a folder of its own.

What is set up: a client for Holdfast, two people, and OpenID Connect with signed tokens, introspection, revocation,
PKCE and logout. People sign in by the provider's own API, which is what its login page calls.
"""

import http.cookies
import json
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import jwt

from cluster import until
from ports import free_port

CLIENT_ID = "holdfast"
PEOPLE_PASSWORD = "correct horse battery"
SCHEMA = pathlib.Path("/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz")

IS_INSTALLED = shutil.which("glewlwyd") is not None and SCHEMA.exists()

CONFIGURATION = """
port={port}
bind_address="127.0.0.1"
external_url="{url}"
login_url="login.html"
api_prefix="api"
static_files_path="/usr/share/glewlwyd/webapp/"
log_mode="file"
log_level="WARNING"
log_file="{folder}/glewlwyd.log"
cookie_domain=""
cookie_secure=0
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
user_middleware_module_path="{folder}/no-middleware"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3" path = "{folder}/glewlwyd.db" }};
"""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    """Keeps cookies and follows no redirect: a journey looks at each step.

    Cookies are kept per host, whatever the port. Like a browser it takes `Secure` ones from a server on this machine without TLS.
    """

    def __init__(self):
        self.cookies = {}
        self._opener = urllib.request.build_opener(NoRedirects)

    def ask(self, method, url, body=None, form=None, headers=None):
        """Returns (status, headers, body); the body is decoded when it is JSON."""
        headers, data = dict(headers or {}), None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if form is not None:
            data = urllib.parse.urlencode(form).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        host = urllib.parse.urlsplit(url).hostname
        jar = self.cookies.setdefault(host, {})
        if jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            answer = self._opener.open(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            for line in answer.headers.get_all("Set-Cookie") or []:
                for name, cookie in http.cookies.SimpleCookie(line).items():
                    jar[name] = cookie.value
                    if cookie["max-age"] == "0":
                        del jar[name]
            text = answer.read().decode()
            if "json" in answer.headers.get("Content-Type", "") and text:
                text = json.loads(text)
            return answer.status, answer.headers, text


class Provider:
    """Use as a context manager. `redirect_uris` are where it may send people back to."""

    def __init__(self, redirect_uris, post_logout_redirect_uri="", access_token_seconds=600):
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.issuer = f"{self.url}/api/oidc"
        self.client_secret = secrets.token_urlsafe(24)
        self._redirect_uris, self._after_logout = list(redirect_uris), post_logout_redirect_uri
        self._access_token_seconds = access_token_seconds
        self.process = None
        self._admin = Browser()

    @property
    def settings(self):
        return {
            "EXTERNAL_AUTH_URL": self.issuer,
            "EXTERNAL_AUTH_CLIENT_ID": CLIENT_ID,
            "EXTERNAL_AUTH_CLIENT_SECRET": self.client_secret,
        }

    def __enter__(self):
        self._temporary = tempfile.TemporaryDirectory(prefix="holdfast-provider-")
        self.folder = pathlib.Path(self._temporary.name)
        try:
            schema = subprocess.run(["zcat", SCHEMA], capture_output=True, check=True).stdout
            subprocess.run(["sqlite3", self.folder / "glewlwyd.db"], input=schema, check=True)
            configuration = CONFIGURATION.format(port=self.port, url=self.url, folder=self.folder)
            (self.folder / "glewlwyd.conf").write_text(configuration)
            (self.folder / "no-middleware").mkdir()
            self.start()
            self._set_up()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        self._temporary.cleanup()

    def start(self):
        self.process = subprocess.Popen(
            ["glewlwyd", "-c", self.folder / "glewlwyd.conf"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )
        until(self._answers, 20, "the provider's start")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "glewlwyd.log").read_text()
        try:
            return Browser().ask("GET", f"{self.url}/config")[0] == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop_answering(self):
        """Still takes connections, and says nothing: worse than dead."""
        self.process.send_signal(signal.SIGSTOP)

    def answer_again(self):
        self.process.send_signal(signal.SIGCONT)

    # Set-up, by the administrator's API

    def admin(self, method, path, body=None):
        status, _, answer = self._admin.ask(method, f"{self.url}/api{path}", body)
        assert status == 200, f"{method} {path}: {status} {answer}"
        return answer

    def _set_up(self):
        self.admin("POST", "/auth/", {"username": "admin", "password": "password"})
        self.admin("POST", "/scope/", {"name": "tickets", "display_name": "Tickets", "password_required": False})
        database = self.admin("GET", "/mod/user/database")
        database["parameters"]["data-format"] |= {
            "groups": {"multiple": True, "read": True, "write": True, "profile-read": True, "profile-write": False},
            "verified": {"multiple": False, "read": True, "write": True, "profile-read": True, "profile-write": False},
        }
        self.admin("PUT", "/mod/user/database", database)
        self.admin("PUT", "/mod/user/database/reset")
        self.use_key(self.new_key("first"))
        self.admin("POST", "/client/", {
            "client_id": CLIENT_ID, "name": "Holdfast", "confidential": True, "enabled": True,
            "client_secret": self.client_secret, "scope": [],
            "authorization_type": ["code", "refresh_token", "client_credentials"],
            "redirect_uri": self._redirect_uris,
            "token_endpoint_auth_method": ["client_secret_basic"],
            **({"post_logout_redirect_uri": self._after_logout} if self._after_logout else {}),
        })
        self.create_person("jiho", "Jiho Kim", "jiho@example.org", groups=["members", "ops"], verified="yes")
        self.create_person("mallory", "Mallory", "jiho@example.org", groups=[], verified="no")

    def create_person(self, name, display_name, email, groups, verified):
        self.admin("POST", "/user/", {
            "username": name, "name": display_name, "email": email, "password": PEOPLE_PASSWORD, "enabled": True,
            "scope": ["openid", "tickets", "g_profile"], "groups": groups, "verified": verified,
        })

    def new_key(self, name):
        """A private RSA key as a JWK."""
        from cryptography.hazmat.primitives.asymmetric import rsa
        from jwt.algorithms import RSAAlgorithm

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return json.loads(RSAAlgorithm.to_jwk(key)) | {"kid": name, "alg": "RS256", "use": "sig", "key_ops": ["sign"]}

    def use_key(self, key):
        """Signs with this key from now on; the first call makes the plugin."""
        is_first = not any(plugin["name"] == "oidc" for plugin in self.admin("GET", "/mod/plugin"))
        plugin = {
            "module": "oidc", "name": "oidc", "display_name": "OpenID Connect", "enabled": True,
            "parameters": {
                "iss": self.issuer, "jwt-type": "rsa", "jwt-key-size": "256",
                "jwks-private": json.dumps({"keys": [key]}), "default-kid": key["kid"],
                "jwks-show": True,
                "access-token-duration": self._access_token_seconds, "refresh-token-duration": 3600,
                "code-duration": 60, "refresh-token-rolling": True, "refresh-token-one-use": "never",
                "allow-non-oidc": False, "auth-type-code-enabled": True, "auth-type-code-revoke-replayed": True,
                "auth-type-token-enabled": False, "auth-type-implicit-enabled": False,
                "auth-type-password-enabled": False, "auth-type-client-enabled": True,
                "auth-type-none-enabled": False, "auth-type-refresh-enabled": True,
                "auth-type-device-enabled": False,
                "pkce-allowed": True, "pkce-method-plain-allowed": False, "pkce-required": False,
                "introspection-revocation-allowed": True, "introspection-revocation-allow-target-client": True,
                "subject-type": "public", "oauth-as-iss-id": True,
                "name-claim": "mandatory", "email-claim": "mandatory", "scope-claim": "mandatory",
                "claims": [
                    {"name": "groups", "user-property": "groups", "type": "string", "mandatory": True, "scope": []},
                    {"name": "email_verified", "user-property": "verified", "type": "boolean",
                     "boolean-value-true": "yes", "boolean-value-false": "no", "mandatory": True, "scope": []},
                ],
                "session-management-allowed": True, "session-cookie-name": "HOLDFAST_TEST_SID",
                "session-cookie-expiration": 3600, "back-channel-logout-allowed": True,
                "front-channel-logout-allowed": False,
            },
        }
        if is_first:
            self.admin("POST", "/mod/plugin", plugin)
        else:
            self.admin("PUT", "/mod/plugin/oidc", plugin)
            self.admin("PUT", "/mod/plugin/oidc/reset")

    def notify_of_logouts(self, url):
        client = self.admin("GET", f"/client/{CLIENT_ID}")
        client |= {"backchannel_logout_uri": url, "client_secret": self.client_secret}
        self.admin("PUT", f"/client/{CLIENT_ID}", client)

    # What a person does at the provider's pages

    def sign_in(self, browser, name):
        status, _, answer = browser.ask(
            "POST", f"{self.url}/api/auth/", {"username": name, "password": PEOPLE_PASSWORD}
        )
        assert status == 200, answer
        status, _, answer = browser.ask(
            "PUT", f"{self.url}/api/auth/grant/{CLIENT_ID}/", {"scope": "openid tickets"}
        )
        assert status == 200, answer

    def consent(self, browser, authorization_url):
        """Opens the provider's authorization page, signed in; returns where it sends the browser."""
        status, headers, answer = browser.ask("GET", authorization_url + "&g_continue")
        assert status == 302, (status, answer)
        return headers["Location"]

    def end_session(self, browser, id_token):
        """Signs out at the provider's page."""
        session = jwt.decode(id_token, options={"verify_signature": False})["sid"]
        status, _, answer = browser.ask("DELETE", f"{self.issuer}/session/{session}/")
        assert status == 200, answer
