"""A provider that lies as it is told: for what no honest one sends.

It signs with a key of its own, and answers every request with what the test put there.
"""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.parse

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ports import free_port

CLIENT_ID = "holdfast"


class Pretender:
    """Use as a context manager. Change `discovery`, `claims`, `access_token`, `answers` and the rest at will."""

    def __init__(self, discovery=True):
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.asked, self.nonces, self.codes = [], [], {}
        self._has_discovery = discovery
        self.reset()

    def reset(self):
        """Honest again."""
        self.answers, self.drip = {}, False
        self.claims, self.dropped, self.sign = {}, [], self.honestly
        self.access_token = "opaque-" + hashlib.sha256(str(time.monotonic_ns()).encode()).hexdigest()
        self.discovery = {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks", "introspection_endpoint": f"{self.issuer}/introspect",
        } if self._has_discovery else None
        self.introspection = {"active": True, "sub": "subject-1", "client_id": CLIENT_ID}
        self.profile = {"sub": "subject-1", "name": "Somebody", "email": "s@example.org", "email_verified": True}
        return self

    settings = property(lambda self: {
        "EXTERNAL_AUTH_URL": self.issuer, "EXTERNAL_AUTH_CLIENT_ID": CLIENT_ID,
        "EXTERNAL_AUTH_CLIENT_SECRET": "s3cret & more",
    })

    def __enter__(self):
        pretender = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.respond({})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                self.respond(dict(urllib.parse.parse_qsl(body)))

            def respond(self, form):
                path = urllib.parse.urlsplit(self.path).path
                pretender.asked.append((path, form, dict(self.headers)))
                status, headers, body = pretender.answer(path, form)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if pretender.drip:
                    self.drip(data)
                else:
                    self.wfile.write(data)

            def drip(self, data):
                """A byte now and then, until we are left."""
                with contextlib.suppress(OSError):
                    for byte in data:
                        self.wfile.write(bytes([byte]))
                        time.sleep(0.3)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        # Who is left in the middle of an answer is not news here.
        self._server.handle_error = lambda *_: None
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path, form):
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return (200, {}, self.discovery) if self.discovery else (404, {}, {})
        if path == "/jwks":
            return 200, {}, {"keys": [self.jwk(self.key, "k1")]}
        if path == "/token":
            return 200, {}, self.tokens(form)
        if path in ("/userinfo", "/api/v1/auth/me"):
            return 200, {}, self.profile
        if path == "/introspect":
            return 200, {}, self.introspection
        return 404, {}, {}

    @staticmethod
    def jwk(key, name):
        return json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": name, "use": "sig"}

    def tokens(self, form):
        answer = {"access_token": self.access_token, "token_type": "Bearer", "expires_in": 600}
        if not self._has_discovery:
            return answer
        half = hashlib.sha256(self.access_token.encode()).digest()[:16]
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": "subject-1", "iat": now, "exp": now + 600,
            "nonce": self.codes.get(form.get("code"), ""), "email": "s@example.org",
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        } | self.claims
        return answer | {"id_token": self.sign({k: v for k, v in claims.items() if k not in self.dropped})}

    # Ways to sign

    def honestly(self, claims, **header):
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "k1"} | header)

    def with_another_key(self, claims):
        return jwt.encode(claims, self.other_key, algorithm="RS256", headers={"kid": "k1"})

    def without_signature(self, claims):
        return jwt.encode(claims, None, algorithm="none", headers={"kid": "k1"})

    def with_the_public_key_as_secret(self, claims):
        """The oldest trick: HS256 with what everybody knows."""
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

        def part(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=")

        text = part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "k1"}).encode()) + b"." + part(
            json.dumps(claims).encode())
        return (text + b"." + part(hmac.new(public, text, hashlib.sha256).digest())).decode()

    def begin(self, location):
        """What a browser would bring back from here."""
        asked = {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(location).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked.get("nonce", "")
        return {"code": code, "state": asked["state"]}
