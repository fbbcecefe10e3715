"""Turns the generator's results into medians, ratios and two tables."""

import os
import platform
import statistics
import subprocess
import textwrap
import time

import goals

# In the order of their columns; the tuned python-socketio has rows of its own below the table.
PEERS = ["nchan", "centrifuge", "python-socketio"]
DEBIAN = ["libnginx-mod-nchan", "golang-github-centrifugal-centrifuge-dev", "golang-go", "redis-server"]


def figure(result, path):
    """The value at a path such as `latency_ms.p99`."""
    for key in path.split("."):
        result = result.get(key) if isinstance(result, dict) else None
    if result is not None and path.endswith("bytes_per_connection"):
        return result / 1024
    return result


def brief(result):
    """One line for the eye while the benchmark runs."""
    if "error" in result:
        return "FAILED: " + result["error"]
    parts = []
    for key in ("connects_per_s", "rss_bytes_per_connection", "acks_per_s", "deliveries_per_s"):
        if key in result:
            parts.append(f"{key} {result[key]:,.0f}")
    if result.get("paced"):
        parts.append(f"p99 {result['latency_ms']['p99']:,.1f} ms")
    if "restored_s" in result:
        parts.append(f"restored in {result['restored_s']:.2f} s, {result['retried']} retried")
    parts.append(f"server {result['server_cpu']:.2f}, generator {result['generator_cpu']:.2f} cores")
    if not result["clean"]:
        parts.append(f"NOT CLEAN: {result['failed']} connections failed ({result['first_failure']})")
    return ", ".join(parts)


def debian_versions():
    asked = ["dpkg-query", "-W", "-f=${Package} ${Version}\n", *DEBIAN]
    return subprocess.run(asked, capture_output=True, text=True).stdout.splitlines()


def machine(cores, python):
    """What the figures depend on."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    listed = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True).stdout.split()
    names = ("python-socketio", "uvicorn", "websockets", "uvloop", "httptools")
    packages = [entry.replace("==", " ") for entry in listed if entry.lower().split("==")[0] in names]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(cores),
        "model": model,
        "kernel": platform.release(),
        "packages": [f"Python {platform.python_version()}", *sorted(packages), *debian_versions()],
        "load_before": os.getloadavg()[0],
    }


class Results:
    """All results, asked for by measurement and server."""

    def __init__(self, results):
        self.results = results

    def of(self, measurement, server):
        return [r for r in self.results if r["measurement"] == measurement and r["server"] == server]

    def values(self, measurement, server, path):
        found = (figure(r, path) for r in self.of(measurement, server) if "error" not in r)
        return [value for value in found if value is not None]

    def median(self, measurement, server, path):
        values = self.values(measurement, server, path)
        return statistics.median(values) if values else None

    def is_behind(self, measurement, server):
        """Answers that never came are only known to be later than the end: a percentile is a lower bound then."""
        return any(result.get("missing") for result in self.of(measurement, server))


def spread(values, form):
    middle = form.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form.format(min(values))}–{form.format(max(values))})"


def ratio_of(ours, theirs, more_is_better):
    """Above 1 ours is better, whichever way the figure counts."""
    top, bottom = (ours, theirs) if more_is_better else (theirs, ours)
    return f"{top / bottom:.2f}×" if bottom > 0 else "–"


def peer_cell(row, results, peer, ours):
    theirs = results.median(row.measurement, peer, row.path)
    if theirs is None:
        return "failed" if results.of(row.measurement, peer) else "–"
    text = row.form.format(theirs)
    if row.path.startswith("latency") and results.is_behind(row.measurement, peer):
        return f"behind, over {text}"
    return text if ours is None else f"{text} · **{ratio_of(ours, theirs, row.more_is_better)}**"


def node_cell(row, peers, ours):
    figure = goals.node_figure(row, peers)
    if figure is None or isinstance(figure, str):
        return figure or "–"
    text = f"~{row.form.format(figure)}"
    return text if ours is None else f"{text} · **{ratio_of(ours, figure, row.more_is_better)}**"


def main_table(results):
    yield f"| | {goals.OURS} | {' | '.join(PEERS)} | Socket.IO on Node | goal | met |"
    yield "|---|" + "---:|" * (len(PEERS) + 2) + "---|---|"
    for row in goals.ROWS:
        values = results.values(row.measurement, goals.OURS, row.path)
        if not results.of(row.measurement, goals.OURS):
            continue
        ours = statistics.median(values) if values else None
        peers = {peer: results.median(row.measurement, peer, row.path) for peer in PEERS}
        cells = [peer_cell(row, results, peer, ours) for peer in PEERS]
        words, met = goals.judged(row, ours, peers)
        verdict = {True: "yes", False: "**no**", None: "–"}[met]
        own = spread(values, row.form) if values else "failed"
        if row.path.startswith("latency") and results.is_behind(row.measurement, goals.OURS):
            own, verdict = f"behind, over {own}", "**no**"
        yield f"| {row.title} | {own} | {' | '.join(cells)} | {node_cell(row, peers, ours)} | {words} | {verdict} |"


def tuned_lines(results):
    for row in goals.ROWS:
        theirs = results.median(row.measurement, "python-socketio, tuned", row.path)
        ours = results.median(row.measurement, goals.OURS, row.path)
        if theirs is not None and ours is not None:
            yield (
                f"{row.title}: python-socketio, tuned, {row.form.format(theirs)}; "
                f"ours is {ratio_of(ours, theirs, row.more_is_better)} that"
            )


def shares(results, measurement, server):
    """The most that anybody used of the cores in any round."""
    clean = [r for r in results.of(measurement, server) if "error" not in r]
    keys = ("server_cpu", "generator_cpu", "store_cpu", "others_cpu")
    return [f"{max(r.get(key, 0) for r in clean):.2f}" if clean else "–" for key in keys]


def share_table(results, measurements):
    yield "| measurement | server | server's cores | generator's | Redis's | others' |"
    yield "|---|---|---:|---:|---:|---:|"
    for measurement in measurements:
        about = measurement.about
        for server in measurement.servers:
            if results.of(measurement.name, server):
                yield f"| {about} | {server} | {' | '.join(shares(results, measurement.name, server))} |"
                about = ""


def warnings(facts, results):
    if facts["cores"] < 2:
        yield "Only one core: server and generator shared it; the capacities are too low and mean little."
    busiest = max((result.get("generator_cpu", 0) + result.get("store_cpu", 0) for result in results), default=0)
    if busiest > 0.9:
        yield f"Generator and Redis used up to {busiest:.2f} of their core: some capacities are theirs, not the server's."
    others = max((result.get("others_cpu", 0) for result in results), default=0)
    if others > 0.1:
        yield (
            f"The machine was busy: other processes used up to {others:.2f} cores. Capacities are too low, "
            "latencies too high, and the ratios uncertain; run again when it is quiet."
        )
    late = max((result.get("latest_send_ms", 0) for result in results), default=0)
    if late > 5:
        yield f"The generator sent a paced message up to {late:.1f} ms late; that time is in the latencies."
    for result in results:
        where = f"Round {result['round']}, {result['measurement']}, {result['server']}"
        if "error" in result:
            yield f"{where}: {result['error']}."
        elif not result["clean"]:
            what = result["first_failure"] or "wrong or misordered answers"
            yield f"{where}: {result['failed']} connections failed ({what})."
        elif result.get("retried"):
            yield f"{where}: {result['retried']} connections were tried again."
    if any(result.get("missing") for result in results):
        yield "Behind: at this rate some answers had not come 2 s after the end; they are counted as that late."


def markdown(facts, results, measurements, rounds):
    asked = Results(results)
    placing = "one core per server, the generator and Redis on another" if facts["cores"] > 1 else "one core for all"
    lines = [
        f"Measured on {facts['date']} by `make bench`; rounds: {rounds}, in {facts['minutes']:.0f} minutes; medians, "
        f"of ours with the lowest and the highest; {placing}. Bold: by how many times ours is better.",
        "",
        *main_table(asked),
        "",
        "nchan's connections are not authenticated: it knows no tokens. Socket.IO on Node was not part of the run; its "
        "figures (~) are computed from ratios measured once, see Tests/Benchmarks/goals.py.",
        "",
        *(f"- {line}." for line in tuned_lines(asked)),
        "",
        "Cores used, the highest of all rounds:",
        "",
        *share_table(asked, measurements),
        "",
        f"Machine: cores: {facts['cores']}, {facts['model']}, Linux {facts['kernel']}; "
        f"load average {facts['load_before']:.1f} before, {facts['load_after']:.1f} after. "
        f"Versions: {', '.join(facts['packages'])}.",
    ]
    notes = list(warnings(facts, results))
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(map(wrapped, lines)) + "\n"


def wrapped(line):
    """Text within the width of our documents; tables as they are."""
    if line.startswith("|"):
        return line
    return textwrap.fill(line, 120, subsequent_indent="  " if line.startswith("- ") else "", break_on_hyphens=False)
