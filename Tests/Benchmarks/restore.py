"""An instance is killed, and everybody who was on it gets back what they had from another one.

Half of the people are inside and hold a seat, the others wait in the queue. The instance they come to has a core to
itself; generator and stores are on the other core.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import identity
from identity import size
from servers import pinned

NAME = "restore"
ROUNDS = size("ROUNDS", 3)
PEOPLE = size("RECONNECT", 5000)
LIMIT_SECONDS = 2


def results(options, server_core, generator_core):
    """A fresh event and a fresh pair of instances for each round."""
    log = options.out / "restore.log"
    log.write_bytes(b"")
    with tempfile.TemporaryDirectory(prefix="bench-restore-") as text:
        folder = Path(text)
        folder.chmod(0o755)
        tokens = folder / "tokens"
        with identity.Holdfast(options.service, folder / "services", generator_core, log) as ours:
            ours.people(PEOPLE, tokens)
            for number in range(1, ROUNDS + 1):
                _, events = ours.opened(folder, identity.house(PEOPLE // 2, PEOPLE, seconds=600))
                with ours.running(server_core) as here, ours.running(server_core) as there:
                    command = [options.generator, "restore", "-n", PEOPLE, "--inside", PEOPLE // 2]
                    command += ["--tokens", tokens, "--events", events, "--store", ours.redis_pid]
                    command += ["--port", here.port, "--kill", here.pids[0], "--publisher-port", there.port]
                    command += ["--pid", there.pids[0]]
                    done = subprocess.run(pinned(generator_core, command), capture_output=True, text=True, timeout=120)
                if not done.stdout.startswith("{"):
                    sys.exit(f"bench: restore: {done.stderr.strip()}")
                result = json.loads(done.stdout)
                if done.returncode != 0:
                    sys.exit(f"bench: restore: {result['failed']} lost, {result['wrong']} wrong: {result['first_wrong']}")
                print(
                    f"    round {number}  {NAME:16} {ours.name:16} {result['connections']} back after "
                    f"{result['restored_s']:.2f} s, connected after {result['connected_s']:.2f} s, server "
                    f"{result['server_cpu']:.2f}, Redis {result['store_cpu']:.2f}, generator "
                    f"{result['generator_cpu']:.2f} cores",
                    flush=True,
                )
                yield {"round": number, "measurement": NAME, "server": ours.name} | result


def markdown(results):
    lines = ["| everybody back on another instance | holdfast | | goal | met |", "|---|---:|---|---|---|"]

    def median(*path):
        values = []
        for result in results:
            for key in path:
                result = result[key]
            values.append(result)
        return statistics.median(values)

    whole = median("restored_s")
    title = f"{PEOPLE:,} whose instance is killed, half with a seat, until the last has place, room and seat again, s"
    beside = f"half of them after {median('since_cut_ms', 'p50') / 1000:.2f}; connected {median('connected_s'):.2f}"
    met = "yes" if whole < LIMIT_SECONDS else "**no**"
    lines.append(f"| {title} | {whole:.2f} | {beside} | < {LIMIT_SECONDS} | {met} |")
    return "\n".join(lines) + "\n"
