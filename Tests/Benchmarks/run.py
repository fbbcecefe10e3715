"""Runs every measurement on every server, one after the other, and writes the report.

One round is: for each measurement, for each server, a fresh server on one core, the generator on another, one result.
The order of the servers is reversed in every other round, so that a machine that slows down or warms up favours
neither. `scripts/bench.sh` builds what this needs and calls it.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import os
import resource
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import identity
import report
import restore
import seats
import waiting
from servers import Centrifuge, Holdfast, Nchan, PythonSocketIO, pinned, redis_server


def size(name, default):
    """A size from the environment, such as BENCH_ROUNDS=5."""
    return type(default)(os.environ.get(f"BENCH_{name}", default))


ROUNDS = size("ROUNDS", 3)
SECONDS = size("SECONDS", 3.0)
IDLE = size("IDLE", 2000)
RECONNECT = size("RECONNECT", 5000)
RPC_CONNECTIONS = size("RPC_CONNECTIONS", 64)
RPC_DEPTH = size("RPC_DEPTH", 4)
SUBSCRIBERS = size("SUBSCRIBERS", 1000)
WINDOW = size("WINDOW", 8)
REDIS_WINDOW = size("REDIS_WINDOW", 4)
FANOUT_RATE = size("FANOUT_RATE", 100.0)
MESSAGE_SIZE = size("MESSAGE_SIZE", 200)
ONLY = size("ONLY", "").split()


@dataclass(frozen=True)
class Measurement:
    name: str
    about: str
    arguments: tuple
    servers: tuple
    authenticated: bool = False
    through_redis: bool = False


def measurements():
    sized = ("--seconds", SECONDS, "--size", MESSAGE_SIZE)
    room = f"a room of {SUBSCRIBERS:,}, {MESSAGE_SIZE} B"
    rpc = ("rpc", "-n", RPC_CONNECTIONS, "--depth", RPC_DEPTH, *sized)
    loaded = f"{RPC_CONNECTIONS} connections, {RPC_DEPTH} in flight each"
    both = ("python-socketio", "python-socketio, tuned")
    yield Measurement(
        "fanout-capacity",
        f"broadcast to {room}, {WINDOW} messages in flight",
        ("fanout", "-n", SUBSCRIBERS, "--window", WINDOW, *sized),
        ("holdfast", "nchan", "centrifuge", "python-socketio"),
    )
    yield Measurement(
        "fanout-redis",
        f"broadcast to {room}, through Redis, {REDIS_WINDOW} messages in flight",
        ("fanout", "-n", SUBSCRIBERS, "--window", REDIS_WINDOW, *sized),
        ("holdfast", "nchan", "centrifuge"),
        through_redis=True,
    )
    yield Measurement(
        "fanout-latency",
        f"broadcast to {room}, open loop, {FANOUT_RATE:g} messages/s",
        ("fanout", "-n", SUBSCRIBERS, "--rate", FANOUT_RATE, *sized, "--grace", 2),
        ("holdfast", "nchan", "centrifuge"),
    )
    yield Measurement(
        "rpc-seat", f"a `seat` event, answered with ok, {loaded}", (*rpc, "--seat"), ("holdfast", "centrifuge", *both)
    )
    yield Measurement("rpc-echo", f"an event with {MESSAGE_SIZE} B, echoed, {loaded}", rpc, ("holdfast", *both))
    yield Measurement(
        "connect",
        f"{IDLE:,} connections, each with its own JWT (HS256), 64 handshakes at once",
        ("connect", "-n", IDLE, "--hold", 2),
        ("holdfast", "nchan", "centrifuge", "python-socketio"),
        authenticated=True,
    )
    yield Measurement(
        "reconnect",
        f"{RECONNECT:,} connections cut at once, and restored with their JWTs",
        ("reconnect", "-n", RECONNECT),
        ("holdfast", "centrifuge"),
        authenticated=True,
    )


def write_tokens(path, secret, count):
    """One JWT per connection, of different users: a server that remembers a verified token gains nothing."""

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    head = part(b'{"alg":"HS256","typ":"JWT"}')
    expiry = int(time.time()) + 86400
    lines = []
    for number in range(count):
        body = head + b"." + part(json.dumps({"sub": f"user-{number}", "exp": expiry}).encode())
        lines.append(body + b"." + part(hmac.digest(secret.encode(), body, hashlib.sha256)))
    path.write_bytes(b"\n".join(lines) + b"\n")


class Bench:
    def __init__(self, options):
        cores = sorted(os.sched_getaffinity(0))
        self.cores = cores
        self.server_core, self.generator_core = cores[0], cores[-1]
        self.generator = options.generator
        self.service = options.service
        self.out = options.out
        self.log = options.out / "servers.log"
        self.tokens = options.out / "tokens"
        self.secret = secrets.token_hex(32)
        self.servers = {
            server.name: server
            for server in (
                Holdfast(options.ours),
                Nchan(),
                Centrifuge(options.centrifuge),
                PythonSocketIO(options.python, tuned=False),
                PythonSocketIO(options.python, tuned=True),
            )
        }

    def measure(self, measurement, server):
        """One result. Through Redis two processes of the server share the server's core: the publisher is connected
        to the one and all subscribers are to the other, so that each message goes through Redis, which shares the
        generator's core."""
        secret = self.secret if measurement.authenticated and server.protocol != "nchan" else None
        command = [self.generator, *measurement.arguments, "--protocol", server.protocol]
        command += ["--tokens", self.tokens] if secret else []
        with contextlib.ExitStack() as stack:
            redis = None
            if measurement.through_redis:
                store = stack.enter_context(redis_server(self.generator_core, self.log))
                redis = store.port
                command += ["--store", store.pids[0]]
            running = [
                stack.enter_context(server.running(self.server_core, self.log, secret, redis))
                for _ in range(2 if redis else 1)
            ]
            command += ["--port", running[0].port, "--publisher-port", running[-1].port]
            for process in running:
                for pid in process.pids:
                    command += ["--pid", pid]
            return self.generate(command)

    def generate(self, command):
        try:
            done = subprocess.run(pinned(self.generator_core, command), capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return {"error": "the generator did not end within 120 s"}
        if done.returncode == 2 or not done.stdout.startswith("{"):
            return {"error": done.stderr.strip() or f"the generator ended with status {done.returncode}"}
        return json.loads(done.stdout) | {"clean": done.returncode == 0}

    def results(self):
        """Every result, in the order in which it was measured."""
        for number in range(ROUNDS):
            for measurement in measurements():
                if ONLY and measurement.name not in ONLY:
                    continue
                order = measurement.servers if number % 2 == 0 else reversed(measurement.servers)
                for name in order:
                    result = self.measure(measurement, self.servers[name])
                    line = f"    round {number + 1} of {ROUNDS}  {measurement.name:16} {name:23} {report.brief(result)}"
                    print(line, flush=True)
                    yield {"round": number + 1, "measurement": measurement.name, "server": name} | result
            for part in (seats, waiting):
                if ONLY and part.NAME not in ONLY:
                    continue
                for measurement, name, result in part.results(self, SECONDS):
                    line = f"    round {number + 1} of {ROUNDS}  {measurement:16} {name:23} {report.brief(result)}"
                    print(line, flush=True)
                    yield {"round": number + 1, "measurement": measurement, "server": name} | result


def main():
    parser = argparse.ArgumentParser()
    for name in ("generator", "ours", "service", "centrifuge", "python", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.out.mkdir(parents=True, exist_ok=True)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    bench = Bench(options)
    bench.log.write_bytes(b"")
    write_tokens(bench.tokens, bench.secret, max(IDLE, RECONNECT))
    if len(bench.cores) == 1:
        print("    Only one core: server and generator share it, the figures are no capacity.", flush=True)
    facts = report.machine(bench.cores, options.python)
    began = time.monotonic()
    try:
        results = list(bench.results())
    finally:
        bench.tokens.unlink()
    identities = identity.Bench(options).run() if not ONLY or "identity" in ONLY else []
    restored = []
    if not ONLY or restore.NAME in ONLY:
        restored = list(restore.results(options, bench.server_core, bench.generator_core))
    facts["load_after"] = os.getloadavg()[0]
    facts["minutes"] = (time.monotonic() - began) / 60
    (options.out / "result.json").write_text(json.dumps({"machine": facts, "results": results + identities + restored}, indent=1) + "\n")
    text = report.markdown(facts, results, list(measurements()), ROUNDS) + seats.markdown(results) + waiting.markdown(results) if results else ""
    if identities:
        text += ("\n" if text else "") + identity.markdown(identities)
    if restored:
        text += ("\n" if text else "") + restore.markdown(restored)
    (options.out / "report.md").write_text(text)
    print("\n" + text)
    if any("error" in result for result in results):
        sys.exit("bench: some measurements failed; see the report")


main()
