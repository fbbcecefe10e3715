"""Runs every measurement on every server, one after the other, and writes the result.

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
import socket
import subprocess
import sys
import time
from pathlib import Path

import report

HERE = Path(__file__).resolve().parent


def size(name, default):
    """A size from the environment, such as BENCH_ROUNDS=5."""
    return type(default)(os.environ.get(f"BENCH_{name}", default))


ROUNDS = size("ROUNDS", 3)
SECONDS = size("SECONDS", 3.0)
IDLE = size("IDLE", 2000)
RPC_CONNECTIONS = size("RPC_CONNECTIONS", 64)
RPC_DEPTH = size("RPC_DEPTH", 4)
RPC_RATE = size("RPC_RATE", 1000.0)
SUBSCRIBERS = size("SUBSCRIBERS", 1000)
WINDOW = size("WINDOW", 8)
FANOUT_RATES = [float(rate) for rate in size("FANOUT_RATES", "5 100").split()]
MESSAGE_SIZE = size("MESSAGE_SIZE", 200)


def measurements():
    """Name, what the reader is told, and the generator's arguments."""
    paced = ["--seconds", SECONDS, "--size", MESSAGE_SIZE, "--grace", 2]
    yield (
        "connect",
        f"{IDLE:,} connections, each with its own JWT (HS256), 64 handshakes at once",
        ["connect", "-n", IDLE, "--hold", 2, "--tokens", "TOKENS"],
    )
    yield (
        "rpc-capacity",
        f"echo with acknowledgement, {RPC_CONNECTIONS} connections, {RPC_DEPTH} in flight each, {MESSAGE_SIZE} B",
        ["rpc", "-n", RPC_CONNECTIONS, "--depth", RPC_DEPTH, "--seconds", SECONDS, "--size", MESSAGE_SIZE],
    )
    yield (
        "rpc-latency",
        f"the same, open loop, {RPC_RATE:g} events/s over {RPC_CONNECTIONS} connections",
        ["rpc", "-n", RPC_CONNECTIONS, "--rate", RPC_RATE, *paced],
    )
    yield (
        "fanout-capacity",
        f"broadcast to a room of {SUBSCRIBERS:,}, {WINDOW} messages in flight, {MESSAGE_SIZE} B",
        ["fanout", "-n", SUBSCRIBERS, "--window", WINDOW, "--seconds", SECONDS, "--size", MESSAGE_SIZE],
    )
    for rate in FANOUT_RATES:
        yield (
            f"fanout-latency-{rate:g}",
            f"the same room, open loop, {rate:g} messages/s ({rate * SUBSCRIBERS:,.0f} deliveries/s wanted)",
            ["fanout", "-n", SUBSCRIBERS, "--rate", rate, *paced],
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


def pinned(core, command):
    """The command on one core, and gone when we are, however we end."""
    return ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(core), *map(str, command)]


@contextlib.contextmanager
def running(command, core, log):
    """A fresh server that answers on its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("ab") as output:
        server = subprocess.Popen(pinned(core, [*command, "--port", port]), stdout=output, stderr=output)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None:
                sys.exit(f"bench: {command[0]} ended with status {server.returncode}; see {log}")
            time.sleep(0.1)
        else:
            sys.exit(f"bench: {command[0]} does not answer after 20 s; see {log}")
        time.sleep(0.3)
        yield server.pid, port
    finally:
        server.terminate()
        try:
            server.wait(timeout=2)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def measure(generator, core, arguments, pid, port, tokens):
    command = [generator, *arguments, "--port", port, "--pid", pid]
    command = [tokens if argument == "TOKENS" else argument for argument in command]
    done = subprocess.run(pinned(core, command), capture_output=True, text=True, timeout=120)
    if done.returncode == 2 or not done.stdout.startswith("{"):
        return {"error": done.stderr.strip() or f"generator ended with status {done.returncode}"}
    return json.loads(done.stdout) | {"clean": done.returncode == 0}


def rounds(options, servers, secret, cores, log, tokens):
    """Every result, in the order in which it was measured."""
    for number in range(ROUNDS):
        order = list(servers) if number % 2 == 0 else list(reversed(servers))
        for name, about, arguments in measurements():
            for server in order:
                command = servers[server] + (["--jwt-secret", secret] if "TOKENS" in arguments else [])
                with running(command, cores[0], log) as (pid, port):
                    result = measure(options.generator, cores[1], arguments, pid, port, tokens)
                print(f"    round {number + 1} of {ROUNDS}  {name:20} {server:16} {report.brief(result)}", flush=True)
                yield {"round": number + 1, "measurement": name, "about": about, "server": server} | result


def main():
    parser = argparse.ArgumentParser()
    for name in ("generator", "ours", "python", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.out.mkdir(parents=True, exist_ok=True)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    log, tokens = options.out / "servers.log", options.out / "tokens"
    log.write_bytes(b"")
    secret = secrets.token_hex(32)
    write_tokens(tokens, secret, IDLE)

    cores = sorted(os.sched_getaffinity(0))
    server_core, generator_core = cores[0], cores[-1]
    if len(cores) == 1:
        print("    Only one core: server and generator share it, the figures are no capacity.", flush=True)
    peer = HERE / "peers" / "python_socketio_server.py"
    servers = {
        "holdfast": [options.ours, "--profile", "bench", "--threads", 1],
        "python-socketio": [options.python, peer],
    }
    facts = report.machine(cores, options.python)
    try:
        results = list(rounds(options, servers, secret, (server_core, generator_core), log, tokens))
    finally:
        tokens.unlink()
    facts["load_after"] = os.getloadavg()[0]
    (options.out / "result.json").write_text(json.dumps({"machine": facts, "results": results}, indent=1) + "\n")
    text = report.markdown(facts, results, list(servers), ROUNDS)
    (options.out / "result.md").write_text(text)
    print("\n" + text)
    if any("error" in result for result in results):
        sys.exit("bench: some measurements failed; see the table")


main()
