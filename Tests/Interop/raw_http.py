"""HTTP/1.1 over a bare socket, so that malformed, half and overlapping requests can be sent."""

import json
import re
import socket
import time

TIMEOUT = 20


class Response:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:200]!r}>"

    def __getitem__(self, name):
        """All values of a header field, joined; `None` if it is absent."""
        values = [value for key, value in self.fields if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Connection:
    """One TCP connection. `request` sends, `response` reads: what happens between the two is the test's business."""

    def __init__(self, port, timeout=TIMEOUT):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.method = "GET"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, target, fields=(), body=None, length=None):
        """Sends a request; `length` declares more or less than `body` holds."""
        self.method = method
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in dict(fields).items()]
        if length is not None or body is not None:
            lines.append(f"Content-Length: {len(body or b'') if length is None else length}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return self

    def read(self, count=65536):
        """More bytes, or `False` at the end of the stream. A reset counts as an end."""
        try:
            data = self.socket.recv(count)
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    def take(self, count):
        while len(self.buffer) < count:
            assert self.read(), f"the connection ended after {self.buffer[:200]!r}"
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def take_until(self, mark):
        while mark not in self.buffer:
            assert self.read(), f"the connection ended after {self.buffer[:200]!r}"
        data, self.buffer = self.buffer.split(mark, 1)
        return data

    def response(self):
        while True:
            head = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            status = int(re.fullmatch(r"HTTP/1\.[01] (\d{3})(?: .*)?", head[0])[1])
            fields = [(name.lower(), value.strip()) for name, value in (line.split(":", 1) for line in head[1:])]
            if status >= 200 or status == 101:
                break
        response = Response(status, fields, b"")
        if self.method != "HEAD" and status not in (101, 204, 304):
            response.body = self._body(response)
        return response

    def _body(self, response):
        if (response["transfer-encoding"] or "").lower() == "chunked":
            body = b""
            while size := int(self.take_until(b"\r\n").split(b";")[0], 16):
                body += self.take(size)
                self.take(2)
            self.take_until(b"\r\n")
            return body
        if response["content-length"] is not None:
            return self.take(int(response["content-length"]))
        while self.read():
            pass
        body, self.buffer = self.buffer, b""
        return body

    def is_waiting(self, seconds=0.1):
        """Whether no byte of an answer comes for a while."""
        self.socket.settimeout(seconds)
        try:
            self.read()
            return False
        except TimeoutError:
            return not self.buffer
        finally:
            self.socket.settimeout(TIMEOUT)

    def ended(self):
        """Reads up to the end of the stream; what came before it."""
        deadline = time.monotonic() + TIMEOUT
        while self.read():
            assert time.monotonic() < deadline, "the connection does not end"
        return self.buffer


def ask(port, method, target, fields=(), body=None):
    with Connection(port) as connection:
        return connection.request(method, target, fields, body).response()
