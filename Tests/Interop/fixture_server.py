"""Starts `SocketIOFixture` as a process of its own on a free port.

The binary comes from HOLDFAST_FIXTURE; without it, the debug build's.
"""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("HOLDFAST_FIXTURE", str(ROOT / ".build/debug/SocketIOFixture"))


class FixtureServer:
    """Use as a context manager. Leaving it fails if the server ended by itself or does not end on SIGTERM."""

    def __init__(self, profile="default", *arguments, port=None):
        self.port, self._arguments = port or free_port(), ["--profile", profile, *arguments]
        self._log = tempfile.TemporaryFile()
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.check_alive()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the fixture did not end on SIGTERM\n{self.last_words()}") from None
        assert status == 0, f"the fixture ended with {status}\n{self.last_words()}"

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "--port", str(self.port), *self._arguments],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )
        deadline = time.monotonic() + 30
        while True:  # A process that starts cannot be awaited any better than by asking again.
            self.check_alive()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < deadline, f"the fixture does not listen\n{self.last_words()}"
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def check_alive(self):
        assert self.process.poll() is None, f"the fixture ended with {self.process.returncode}\n{self.last_words()}"

    def last_words(self):
        self._log.seek(0)
        return self._log.read()[-20_000:].decode(errors="replace")
