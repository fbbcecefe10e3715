"""Storms: everybody cut at once, a tenth who do not read, four times the load that is held. `scripts/bench-storm.sh` runs it.

Return: two instances share both cores with their stores and the generator; every socket is reset in one moment, and
clients come back as socket.io-client does. Meanwhile the pools are looked at. Slow: broadcasts of the Socket.IO server
to a room in which a tenth reads nothing, and the same without them, in turn. Overload: people who join a queue over HTTP,
at the highest rate whose p99 is held, then at four times that; one instance has a core to itself.
"""

import argparse
import contextlib
import json
import os
import resource
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import identity
from identity import size
from servers import Holdfast as Fixture
from servers import pinned

PEOPLE = size("STORM_PEOPLE", 10_000)
ROUNDS = size("ROUNDS", 3)
SECONDS = size("STORM_SECONDS", 6.0)
SUBSCRIBERS, RATE = 1_000, size("FANOUT_RATE", 100.0)
# The fixture lets 8 MiB wait for a client, so that nobody is cut off within a run: a tenth reads nothing all the time.
MESSAGE_SIZES = (200, 1_000)
ARRIVALS = size("STORM_ARRIVALS", 300_000)
# More than wait at once: with fewer, arrivals would wait for a connection here instead of in line there.
CONNECTIONS = size("STORM_CONNECTIONS", 9_000)
ONLY = size("ONLY", "").split()
# What the issue asks for.
RETURN_SECONDS, RETURN_SHARE = 60, 0.999
SLOW_GROWTH = 1.2
TIMES, GOODPUT_SHARE, HELD_MS, FLOOD_SECONDS = 4, 0.9, size("STORM_HELD_MS", 100), 8
POOL = 8
SAMPLED = (
    "holdfast_postgres_leases", "holdfast_postgres_waiters", "redis_commands_in_flight", "process_open_fds",
    "engineio_handshakes_refused_total", "socketio_connects_refused_total", "holdfast_overload_refusals_total",
    "process_resident_memory_bytes",
)


def say(text):
    print(f"    {text}", flush=True)


def generated(core, command):
    done = subprocess.run(pinned(core, command), capture_output=True, text=True, timeout=240)
    if not done.stdout.startswith("{"):
        sys.exit(f"bench-storm: {command[1]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Samples(threading.Thread):
    """The highest of what each instance says of its pools, and of PostgreSQL's connections, twice a second."""

    def __init__(self, servers, database):
        super().__init__(daemon=True)
        self.servers, self.database = servers, database
        self.highest, self.postgres, self.silent, self.over = {}, 0, 0.0, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            for server in self.servers:
                began = time.monotonic()
                with contextlib.suppress(OSError):
                    self.note(urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=30).read())
                self.silent = max(self.silent, time.monotonic() - began)
            # Of others than this question.
            query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
            done = subprocess.run(["psql", "-Atc", query, self.database], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                self.postgres = max(self.postgres, int(done.stdout))

    def note(self, text):
        found = {}
        for line in text.decode().splitlines():
            name = line.split("{")[0].split(" ")[0]
            if name in SAMPLED:
                found[name] = found.get(name, 0) + float(line.rsplit(" ", 1)[1])
        for name, value in found.items():
            self.highest[name] = max(self.highest.get(name, 0), value)


def comeback(options, cores, folder, log):
    everywhere = ",".join(map(str, cores))
    most = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1_000) // 2 * 2
    people = min(PEOPLE, most)
    tokens = folder / "tokens"
    with identity.Holdfast(options.service, folder / "services", everywhere, log) as ours:
        ours.people(people, tokens)
        _, events = ours.opened(folder, identity.house(people // 2, people, seconds=900))
        with ours.running(everywhere) as one, ours.running(everywhere) as other:
            samples = Samples([one, other], ours.environment["DATABASE_URL"])
            samples.start()
            command = [options.generator, "storm", "-n", people, "--inside", people // 2, "--tokens", tokens]
            command += ["--events", events, "--store", ours.redis_pid, "--port", one.port, "--timeout", 220]
            command += ["--publisher-port", other.port, "--pid", one.pids[0], "--pid", other.pids[0]]
            result = generated(everywhere, command)
            samples.over.set()
            samples.join()
    result |= {"people": people, "highest": samples.highest, "postgres": samples.postgres, "silent_s": samples.silent}
    say(
        f"return    {result['back']} of {people} back, the last after {result['restored_s']:.2f} s, p99 "
        f"{result['since_cut_ms']['p99'] / 1000:.2f} s; {result['attempts']} attempts, {result['lost_again']} lost again, "
        f"{result['wrong']} wrong; PostgreSQL {result['postgres']}, {json.dumps(samples.highest)}, metrics answered "
        f"within {samples.silent:.2f} s"
    )
    return result


def slow(options, cores, log):
    results = []
    fixture = Fixture(options.ours)
    for number, bytes_each in ((number, bytes_each) for number in range(ROUNDS) for bytes_each in MESSAGE_SIZES):
        pair = {"size": bytes_each}
        for stalled in (0, SUBSCRIBERS // 10) if number % 2 == 0 else (SUBSCRIBERS // 10, 0):
            with fixture.running(cores[0], log, None, None) as server:
                command = [options.generator, "fanout", "-n", SUBSCRIBERS, "--rate", RATE, "--size", bytes_each]
                command += ["--seconds", SECONDS, "--stalled", stalled, "--port", server.port, "--pid", server.pids[0]]
                result = generated(cores[-1], [*command, "--timeout", 60])
            pair["slow" if stalled else "all"] = result
            say(
                f"slow      round {number + 1} of {ROUNDS}, {bytes_each} B, {stalled} do not read: p50 {result['latency_ms']['p50']:.1f} "
                f"p99 {result['latency_ms']['p99']:.1f} ms, {result['cut_off']} cut off, server "
                f"{result['server_cpu']:.2f} cores, others {result['others_cpu']:.2f}, {result['missing']} missing, "
                f"{result['failed']} failed"
            )
        results.append(pair)
    return results


class Door:
    """People who come to a queue, each once."""

    def __init__(self, options, cores, ours, folder, server):
        self.options, self.cores, self.ours, self.folder, self.server = options, cores, ours, folder, server
        self.tokens = (folder / "tokens").read_text().split()
        self.event, _ = ours.opened(folder, identity.house(1_000, 1_000, seconds=900))

    def arrive(self, count, connections, rate=None):
        if count > len(self.tokens):
            sys.exit("bench-storm: more people are needed: STORM_ARRIVALS")
        now, self.tokens = self.tokens[:count], self.tokens[count:]
        path = self.folder / "tokens-now"
        path.write_text("\n".join(now) + "\n")
        command = [self.options.generator, "http", "-n", connections, "--path", f"/api/queue/check/{self.event}"]
        command += ["--arrivals", "--refusals", "--tokens", path, "--port", self.server.port, "--timeout", 60]
        command += ["--pid", self.server.pids[0], "--store", self.ours.redis_pid]
        command += ["--rate", rate] if rate else []
        result = generated(self.cores[-1], command)
        result["goodput"] = result["good"] / max(result["seconds"], count / rate if rate else 0)
        return result


def overload(options, cores, folder, log):
    with identity.Holdfast(options.service, folder / "services", cores[-1], log) as ours:
        ours.people(ARRIVALS, folder / "tokens")
        with ours.running(cores[0]) as server:
            door = Door(options, cores, ours, folder, server)
            door.arrive(2_000, 256)
            peak = door.arrive(8_000, 256)["requests_per_s"]
            say(f"overload  peak {peak:,.0f} joins a second, 256 at once")
            rated, held = None, None
            for share in (0.9, 0.8, 0.7, 0.6, 0.5):
                rate = round(peak * share)
                held = door.arrive(int(rate * 4), CONNECTIONS, rate)
                say(
                    f"overload  {rate:,} a second: p50 {held['latency_ms']['p50']:.1f} p99 {held['latency_ms']['p99']:.1f} ms, "
                    f"{held['refused']} refused; server {held['server_cpu']:.2f}, generator {held['generator_cpu']:.2f}, "
                    f"Redis {held['store_cpu']:.2f}, others {held['others_cpu']:.2f} cores"
                )
                if held["latency_ms"]["p99"] <= HELD_MS and held["refused"] == 0:
                    rated = rate
                    break
            if rated is None:
                return {"error": "no rate was held"}
            flood = []
            for _ in range(min(ROUNDS, 2)):
                count = min(int(TIMES * rated * FLOOD_SECONDS), len(door.tokens) // 2)
                flood.append(door.arrive(count, CONNECTIONS, TIMES * rated))
                found = flood[-1]
                say(
                    f"overload  {TIMES * rated:,} a second: {found['goodput']:,.0f} good a second, {found['served']} served, "
                    f"{found['refused']} refused, {found['wrong']} wrong, {found['missing']} without an answer, p50 "
                    f"{found['latency_ms']['p50']:.0f} p99 {found['latency_ms']['p99']:.0f} ms, sent up to "
                    f"{found['latest_send_ms']:.0f} ms late; server {found['server_cpu']:.2f}, generator "
                    f"{found['generator_cpu']:.2f}, Redis {found['store_cpu']:.2f}, others {found['others_cpu']:.2f} cores"
                )
                time.sleep(2)
            after = door.arrive(int(rated * 2), CONNECTIONS, rated)
            say(f"overload  afterwards at {rated:,}: p99 {after['latency_ms']['p99']:.1f} ms, {after['refused']} refused")
    return {"peak": peak, "rated": rated, "held": held, "flood": flood, "after": after}


def verdict(met):
    return "yes" if met else "**no**"


def markdown(found):
    rows = ["| a storm | measured | goal | met |", "|---|---|---|---|"]
    if result := found.get("return"):
        share, highest = result["back"] / result["people"], result["highest"]
        in_time = result["since_cut_ms"]["p999"] / 1000 <= RETURN_SECONDS
        rows.append(
            f"| {result['people']:,} clients on 2 instances, all on 2 cores, reset at once | {share:.2%} back with all they "
            f"had, the last after {result['restored_s']:.1f} s (p50 {result['since_cut_ms']['p50'] / 1000:.1f}, p99 "
            f"{result['since_cut_ms']['p99'] / 1000:.1f}); {result['attempts']:,} attempts, {result['wrong']} told wrong | "
            f"{RETURN_SHARE:.1%} within {RETURN_SECONDS} s | "
            f"{verdict(share >= RETURN_SHARE and in_time and result['wrong'] == 0)} |"
        )
        rows.append(
            f"| meanwhile at most | PostgreSQL {result['postgres']} connections in all, "
            f"{highest.get('holdfast_postgres_waiters', 0):.0f} waiting for one, Redis "
            f"{highest.get('redis_commands_in_flight', 0):,.0f} commands in flight, "
            f"{highest.get('engineio_handshakes_refused_total', 0) + highest.get('socketio_connects_refused_total', 0):.0f} "
            f"handshakes refused, {highest.get('process_resident_memory_bytes', 0) / 2**20:.0f} MiB (each of an instance, "
            f"but the first) | ≤ {2 * POOL}, ≤ 256, ≤ 8,192 | "
            f"{verdict(result['postgres'] <= 2 * POOL and highest.get('holdfast_postgres_waiters', 0) <= 256)} |"
        )
    for bytes_each in MESSAGE_SIZES if "slow" in found else ():
        pairs = [pair for pair in found["slow"] if pair["size"] == bytes_each]
        alone = statistics.median(pair["all"]["latency_ms"]["p99"] for pair in pairs)
        beside = statistics.median(pair["slow"]["latency_ms"]["p99"] for pair in pairs)
        each = ", ".join(
            f"{pair['slow']['latency_ms']['p99'] / pair['all']['latency_ms']['p99']:.2f}" for pair in pairs
        )
        rows.append(
            f"| broadcasts of {bytes_each:,} bytes, {RATE:g} a second to {SUBSCRIBERS:,}, a tenth of whom read nothing | p99 "
            f"of the others {beside:.1f} ms, {alone:.1f} ms if all read: {beside / alone:.2f} × ({each} in the rounds); "
            f"{statistics.median(pair['slow']['cut_off'] for pair in pairs):.0f} cut off | ≤ {SLOW_GROWTH} × | "
            f"{verdict(beside <= SLOW_GROWTH * alone)} |"
        )
    if (result := found.get("overload")) and "error" not in result:
        rated, worst = result["rated"], min(result["flood"], key=lambda flood: flood["goodput"])
        good = worst["goodput"] / rated
        answered = worst["wrong"] == 0 and worst["missing"] == 0
        rows.append(
            f"| joins over HTTP at {TIMES} times {rated:,} a second, the highest rate with p99 ≤ {HELD_MS} ms "
            f"({result['held']['latency_ms']['p99']:.0f}) | {worst['goodput']:,.0f} a second answered within 2 s: "
            f"{good:.0%}; p99 of those served {worst['latency_ms']['p99']:.0f} ms; {worst['refused']:,} of "
            f"{worst['refused'] + worst['served']:,} refused with 503 and `Retry-After`, {worst['wrong']} otherwise | "
            f"> {GOODPUT_SHARE:.0%} | {verdict(good > GOODPUT_SHARE and answered)} |"
        )
    return "\n".join(rows) + "\n"


def main():
    parser = argparse.ArgumentParser()
    for name in ("generator", "ours", "service", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    cores = sorted(os.sched_getaffinity(0))
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "storm.log"
    log.write_bytes(b"")
    found = {}
    parts = {"return": comeback, "slow": slow, "overload": overload}
    for name, part in parts.items():
        if ONLY and name not in ONLY:
            continue
        with tempfile.TemporaryDirectory(prefix=f"storm-{secrets.token_hex(3)}-") as text:
            folder = Path(text)
            folder.chmod(0o755)
            found[name] = part(options, cores, log) if name == "slow" else part(options, cores, folder, log)
    (options.out / "storm.json").write_text(json.dumps(found, indent=1) + "\n")
    text = markdown(found)
    (options.out / "storm.md").write_text(text)
    print("\n" + text)


main()
