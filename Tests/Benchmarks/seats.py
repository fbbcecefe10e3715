"""Seat selections through the whole of Holdfast: socket, session, rules, Redis, and the messages to everyone.

People change their minds: each request takes a seat and gives one back. Alone each has an event of their own; in company
64 look at one seat map, so each seat is 64 sends. There are 256 of them, because nobody may send more than 100 events a
second. Beside it the same script with the same work straight from
redis-benchmark, and python-socketio with a plain SET NX for each seat. Both stores and the generator share the other core.
"""

import base64
import contextlib
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ports import free_port
from servers import PythonSocketIO, pinned, redis_server, started

NAME = "seats"
PEOPLE, WATCHERS, DEPTH = 256, 64, 1
ALONE, COMPANY, PACED, BARE = "seats-alone", "seats-company", "seats-half-peak", "seats-bare"
ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ["State/SeatState.lua", "Holds/Orphans.lua", "Holds/SelectSeats.lua"]
KEYS = ["meta", "holds", "holders", "expiry", "warnings", "claims", "claimants", "log", "freed", "map", "history"]
EVENT = {
    "title": "Bench", "venue": "Hall", "startsAt": "2030-01-01T00:00:00.000Z", "currency": "KRW",
    "sale": {"opensAt": "2020-01-01T00:00:00.000Z", "maxSeatsPerUser": 4, "holdSeconds": 600},
    "sections": [{"name": "A", "rows": 10, "seatsPerRow": 20, "price": 1000}],
}


class Service:
    """`holdfast serve` with stores of its own: PostgreSQL as it is started for tests, and the measurement's Redis."""

    name = "holdfast"

    def __init__(self, bench):
        self.bench = bench
        self.binary = bench.service
        self.folder = bench.out / "stores"
        self.environment = None

    @contextlib.contextmanager
    def database(self):
        services = [ROOT / "scripts/services.sh"]
        # Without the events of runs before: each open event is looked after, whether somebody chooses seats there or not.
        subprocess.run([*services, "stop", self.folder], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)
        # PostgreSQL stays where Redis is: the server's core is the server's alone.
        start = pinned(self.bench.generator_core, [*services, "start", self.folder])
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
        try:
            lines = (self.folder / "env").read_text().replace("export ", "").splitlines()
            found = dict(line.split("=", 1) for line in lines if "=" in line)
            self.environment = {
                "DATABASE_URL": found["DATABASE_URL"].strip("'\""), "LOG_LEVEL": "error",
                "HOLDFAST_SECRETS": base64.b64encode(secrets.token_bytes(32)).decode(),
            }
            yield
        finally:
            subprocess.run([*services, "stop", self.folder], check=False, stdout=subprocess.DEVNULL)

    def command(self, redis, *arguments):
        environment = os.environ | self.environment | {"REDIS_URL": f"redis://127.0.0.1:{redis}"}
        done = subprocess.run(
            [self.binary, *map(str, arguments)], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            sys.exit(f"bench: holdfast {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def prepare(self, redis):
        """Tokens, and lists of events: one for each person, and one for 64."""
        self.command(redis, "migrate")
        tokens, file, alone, company = (self.folder / name for name in ("tokens", "event.json", "alone", "company"))
        self.command(redis, "loadtest", "prepare", "--users", PEOPLE, "--tokens", tokens)
        file.write_text(json.dumps(EVENT))
        with ThreadPoolExecutor(4) as pool:
            events = list(pool.map(lambda _: self.command(redis, "event", "create", "--file", file), range(PEOPLE)))
        alone.write_text("\n".join(events) + "\n")
        company.write_text("\n".join(events[: PEOPLE // WATCHERS]) + "\n")
        return tokens, alone, company, events

    @contextlib.contextmanager
    def running(self, redis):
        port = free_port()
        environment = self.environment | {"REDIS_URL": f"redis://127.0.0.1:{redis}", "HOLDFAST_PORT": str(port)}
        with started([self.binary, "serve"], port, self.bench.server_core, self.bench.log, environment) as server:
            # Events whose time has come open within a second.
            time.sleep(2)
            yield server


def generated(bench, server, redis, events, tokens, arguments):
    command = [bench.generator, "rpc", "-n", PEOPLE, *arguments, "--events", events, "--store", redis.pids[0]]
    command += ["--tokens", tokens] if tokens else []
    command += ["--port", server.port, "--timeout", 60]
    for pid in server.pids:
        command += ["--pid", pid]
    return bench.generate(command)


def ours(bench, service, seconds):
    """Capacity alone, latency at half of it, capacity in company; then the same script without us."""
    with redis_server(bench.generator_core, bench.log) as redis:
        tokens, alone, company, events = service.prepare(redis.port)
        load = ("--depth", DEPTH, "--seconds", seconds)
        with service.running(redis.port) as server:
            # An event's first visitor brings its seats to Redis: that is measured by itself.
            generated(bench, server, redis, alone, tokens, ("--depth", DEPTH, "--seconds", 2))
            peak = generated(bench, server, redis, alone, tokens, load)
            yield ALONE, service.name, peak
            if "acks_per_s" in peak:
                paced = ("--rate", max(1, round(peak["acks_per_s"] / 2)), "--seconds", seconds)
                yield PACED, service.name, generated(bench, server, redis, alone, tokens, paced)
            yield COMPANY, service.name, generated(bench, server, redis, company, tokens, load)
        yield BARE, "redis-benchmark", bare(bench, redis.port, events[0])


def bare(bench, port, event):
    """The same commands from redis-benchmark, which has the server's core: as many in flight as a person each had."""

    def cli(*arguments, text=None):
        return subprocess.run(
            ["redis-cli", "-p", str(port), *arguments], input=text, capture_output=True, text=True, check=True
        ).stdout.strip()

    source = "".join((ROOT / "Sources/Seating" / name).read_text() for name in SCRIPTS)
    digest = cli("-x", "SCRIPT", "LOAD", text=source)
    prefix = f"hf:{{event:{event}}}"
    keys = [f"{prefix}:seats:{key}" for key in KEYS] + [f"{prefix}:passes"]
    epoch = cli("HGET", keys[0], "epoch")
    # One person who goes from seat to seat: each call takes one and gives one back.
    arguments = ["0", epoch, event, f"{prefix}:seats:messages", "", "bench", "600000", "4", "1", "0", "", "exact", ""]
    call = ["EVALSHA", digest, str(len(keys)), *keys, *arguments, "1", "0", "0", "__rand_int__:A-1-1"]
    asked = ["redis-benchmark", "-p", str(port), "-c", "4", "-P", str(PEOPLE // 4), "-n", "100000", "-r", "200", "--csv"]
    done = subprocess.run(pinned(bench.server_core, [*asked, *call]), capture_output=True, text=True, check=False)
    rows = [line for line in done.stdout.splitlines() if line.startswith('"EVALSHA')]
    if not rows:
        return {"error": f"redis-benchmark: {done.stdout.strip() or done.stderr.strip()}"}
    rate = float(rows[-1].split('","')[1])
    # That it took seats, and was not refused.
    if cli("HEXISTS", keys[2], "bench") != "1":
        return {"error": "redis-benchmark's calls were refused"}
    return {"acks_per_s": rate, "server_cpu": 0, "generator_cpu": 0, "clean": True}


def theirs(bench, service, seconds):
    peer = PythonSocketIO(bench.servers["python-socketio"].python, tuned=False)
    load = ("--depth", DEPTH, "--seconds", seconds)
    with redis_server(bench.generator_core, bench.log) as redis:
        for measurement, events in ((ALONE, PEOPLE), (COMPANY, PEOPLE // WATCHERS)):
            file = service.folder / "peer-events"
            file.write_text("".join(f"event-{number}\n" for number in range(events)))
            with peer.running(bench.server_core, bench.log, None, redis.port) as server:
                yield measurement, peer.name, generated(bench, server, redis, file, None, load)


def results(bench, seconds):
    service = Service(bench)
    with service.database():
        yield from ours(bench, service, seconds)
        yield from theirs(bench, service, seconds)


def markdown(results):
    def median(measurement, server, *path):
        values = []
        for result in results:
            if (result["measurement"], result["server"]) == (measurement, server) and "error" not in result:
                for key in path:
                    result = result[key]
                values.append(result)
        return statistics.median(values) if values else None

    rows = []

    def row(title, own, other, name, goal, met):
        shown = "–" if own is None else f"{own:,.0f}" if own > 100 else f"{own:.1f}"
        beside = "–" if other is None else f"{other:,.0f} {name}"
        ratio = f" · **{own / other:.2f}×**" if own and other else ""
        verdict = "–" if met is None else "yes" if met else "**no**"
        rows.append(f"| {title} | {shown} | {beside}{ratio} | {goal} | {verdict} |")

    alone = median(ALONE, "holdfast", "acks_per_s")
    if alone is None:
        return ""
    script, python = median(BARE, "redis-benchmark", "acks_per_s"), median(ALONE, "python-socketio", "acks_per_s")
    row("seat selections per second", alone, script, "redis-benchmark", "≥ 0.5 ×", script and alone >= script / 2)
    row("the same", alone, python, "python-socketio", "≥ 20 ×", python and alone >= 20 * python)
    p99 = median(PACED, "holdfast", "latency_ms", "p99")
    row("p99 at half of that, ms", p99, None, "", "< 10", p99 and p99 < 10)
    company, theirs = (median(COMPANY, name, "acks_per_s") for name in ("holdfast", "python-socketio"))
    title = f"seat selections per second, {WATCHERS} watching each map"
    row(title, company, theirs, "python-socketio", "≥ 20 ×", theirs and company and company >= 20 * theirs)
    head = "\n## Seats, through the whole service\n\n| | holdfast | beside it | goal | met |\n|---|---:|---:|---|---|\n"
    return head + "\n".join(rows) + "\n"
