"""WebSocket frames by hand (RFC 6455), so that every one of them may be wrong."""

import contextlib
import os
import struct
import time

from raw_http import TIMEOUT, Connection

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Closed(Exception):
    """The peer closed. `code` is of its close frame: 1005 if that was empty, `None` if there was none."""

    def __init__(self, code, reason=b""):
        super().__init__(f"closed with {code} {reason!r}")
        self.code, self.reason = code, reason


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, length=None):
    """The bytes of a frame. `length` declares more than there is, in the widest form."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size, bit = len(payload), 0x80 if masked else 0
    if length is not None:
        head = struct.pack("!BBQ", first, bit | 127, length)
    elif size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + mixed.to_bytes(size, "big")


class RawWebSocket:
    answers_close = True

    def __init__(self, port, target, fields=()):
        self.connection = Connection(port)
        self.answer = self.connection.request("GET", target, UPGRADE | dict(fields)).response()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def cut(self):
        self.connection.close()

    @property
    def is_open(self):
        return self.answer.status == 101

    def raw(self, data):
        self.connection.send(data)

    def send(self, message):
        """A whole message in one frame: text from `str`, binary from `bytes`."""
        text = isinstance(message, str)
        self.raw(frame(TEXT if text else BINARY, message.encode() if text else message))

    def send_all(self, *messages):
        """Several messages in one write."""
        self.raw(b"".join(
            frame(TEXT, message.encode()) if isinstance(message, str) else frame(BINARY, message)
            for message in messages
        ))

    def frame(self):
        """The next frame: (fin, rsv, opcode, payload). Raises `Closed` at the end of the stream."""
        try:
            first, second = self.connection.take(2)
            size = second & 0x7F
            assert not second & 0x80, "a server's frame is masked"
            if size == 126:
                (size,) = struct.unpack("!H", self.connection.take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.connection.take(8))
            return bool(first & 0x80), first >> 4 & 7, first & 15, self.connection.take(size)
        except (AssertionError, ConnectionError) as error:
            if "masked" in str(error):
                raise
            raise Closed(None) from None

    def message(self):
        """The next whole message. Answers pings of the WebSocket protocol, skips pongs."""
        kind, parts = None, []
        while True:
            fin, rsv, opcode, payload = self.frame()
            assert rsv == 0, "a reserved bit without an extension"
            if opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                if self.answers_close:
                    with contextlib.suppress(OSError):
                        self.raw(frame(CLOSE, payload))
                raise Closed(code, payload[2:])
            if opcode == PING:
                self.raw(frame(PONG, payload))
            if opcode in (PING, PONG):
                continue
            kind = opcode if opcode else kind
            parts.append(payload)
            if fin:
                whole = b"".join(parts)
                return whole.decode() if kind == TEXT else whole

    def close_code(self):
        """Reads up to the close: its code."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                self.message()
            except Closed as closed:
                return closed.code
        raise AssertionError("the connection was not closed")
