"""The servers of the benchmark: how each is started, on one core, and which of its processes are counted."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from ports import free_port

PEERS = Path(__file__).resolve().parent / "peers"
NGINX_MODULES = "/usr/lib/nginx/modules"


def pinned(core, command):
    """The command on one core, and gone when we are, however we end."""
    return ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(core), *map(str, command)]


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass
class Running:
    port: int
    process: subprocess.Popen
    pids: list = field(default_factory=list)


@contextlib.contextmanager
def started(command, port, core, log, environment=None):
    """A fresh process that answers on its port."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            pinned(core, command), stdout=output, stderr=output, env=os.environ | (environment or {})
        )
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                sys.exit(f"bench: {command[0]} ended with status {process.returncode}; see {log}")
            time.sleep(0.05)
        else:
            sys.exit(f"bench: {command[0]} does not answer after 20 s; see {log}")
        time.sleep(0.3)
        yield Running(port, process, children_of(process.pid) or [process.pid])
    finally:
        process.terminate()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            # A server of several processes: those behind the first would outlive it.
            for pid in [*children_of(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


class Holdfast:
    name, protocol = "holdfast", "socketio"

    def __init__(self, binary):
        self.binary = binary

    @contextlib.contextmanager
    def running(self, core, log, secret, redis):
        port = free_port()
        command = [self.binary, "--profile", "bench", "--threads", 1, "--port", port]
        command += ["--jwt-secret", secret] if secret else []
        command += ["--redis-url", f"redis://127.0.0.1:{redis}"] if redis else []
        with started(command, port, core, log) as server:
            yield server


class Centrifuge:
    name, protocol = "centrifuge", "centrifuge"

    def __init__(self, binary):
        self.binary = binary

    @contextlib.contextmanager
    def running(self, core, log, secret, redis):
        port = free_port()
        command = [self.binary, "--port", port]
        command += ["--jwt-secret", secret] if secret else []
        command += ["--redis", f"127.0.0.1:{redis}"] if redis else []
        with started(command, port, core, log, {"GOMAXPROCS": "1"}) as server:
            yield server


class Nchan:
    """nginx with nchan; it knows no tokens, so its connections are never authenticated."""

    name, protocol = "nchan", "nchan"

    @contextlib.contextmanager
    def running(self, core, log, secret, redis):
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="bench-nchan-") as folder:
            upstream = f"upstream redis {{ nchan_redis_server redis://127.0.0.1:{redis}; }}" if redis else ""
            text = (PEERS / "nchan.conf").read_text()
            for key, value in {
                "MODULES": NGINX_MODULES,
                "FOLDER": folder,
                "PORT": str(port),
                "UPSTREAM": upstream,
                "REDIS": "nchan_redis_pass redis;" if redis else "",
            }.items():
                text = text.replace(f"@{key}@", value)
            config = Path(folder) / "nginx.conf"
            # nginx started by root gives its worker to `nobody`, who must get at the folder as well.
            config.write_text(f"user {'root' if os.getuid() == 0 else 'nobody'};\n" + text)
            command = ["/usr/sbin/nginx", "-p", folder, "-c", config]
            with started(command, port, core, log) as server:
                yield server


class PythonSocketIO:
    """python-socketio on uvicorn.

    Plain is `pip install python-socketio uvicorn` and `uvicorn app:app`, as its documentation has it: asyncio's loop,
    h11, and wsproto, which python-socketio itself brings. Tuned is with everything that makes it faster.
    """

    protocol = "socketio"

    def __init__(self, python, tuned):
        self.python = python
        self.tuned = tuned
        self.name = "python-socketio, tuned" if tuned else "python-socketio"

    @contextlib.contextmanager
    def running(self, core, log, secret, redis):
        port = free_port()
        environment = {"BENCH_JWT_SECRET": secret or "", "BENCH_TUNED": "1" if self.tuned else ""}
        environment |= {"BENCH_REDIS_PORT": str(redis)} if redis else {}
        # Named, because uvicorn picks by what is installed, and the tuned peer's packages are.
        plain, tuned = ("asyncio", "h11", "wsproto"), ("uvloop", "httptools", "auto")
        loop, http, ws = tuned if self.tuned else plain
        command = [self.python, "-m", "uvicorn", "--app-dir", PEERS, "--port", port, "--log-level", "warning"]
        command += ["--loop", loop, "--http", http, "--ws", ws, "--backlog", 4096, "python_socketio_server:app"]
        with started(command, port, core, log, environment) as server:
            yield server


@contextlib.contextmanager
def redis_server(core, log):
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-redis-") as folder:
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with started([*command, "--dir", folder], port, core, log) as server:
            yield server
