"""Turns the generator's results into medians and a table."""

import os
import platform
import re
import statistics
import subprocess

# Per measurement: title of the row, where the figure is in a result, how it is written, whether more is better.
ROWS = {
    "connect": [
        ("connections per second, authenticated", "connects_per_s", "{:,.0f}", True),
        ("the same per CPU second of the server", "connects_per_s / server_cpu", "{:,.0f}", True),
        ("resident memory per idle connection, KiB", "rss_bytes_per_connection", "{:.1f}", False),
    ],
    "rpc-capacity": [
        ("acknowledgements per second", "acks_per_s", "{:,.0f}", True),
        ("the same per CPU second of the server", "acks_per_s / server_cpu", "{:,.0f}", True),
    ],
    "rpc-latency": [
        ("acknowledgement latency p50, ms", "latency_ms.p50", "{:,.2f}", False),
        ("acknowledgement latency p99, ms", "latency_ms.p99", "{:,.2f}", False),
    ],
    "fanout-capacity": [
        ("broadcast deliveries per second", "deliveries_per_s", "{:,.0f}", True),
        ("the same per CPU second of the server", "deliveries_per_s / server_cpu", "{:,.0f}", True),
    ],
    "fanout-latency": [
        ("broadcast latency p50, ms", "latency_ms.p50", "{:,.1f}", False),
        ("broadcast latency p99, ms", "latency_ms.p99", "{:,.1f}", False),
        ("deliveries per second meanwhile", "deliveries_per_s", "{:,.0f}", True),
    ],
}


def figure(result, path):
    """The value at a path such as `latency_ms.p99`, or the quotient of two of them."""
    if " / " in path:
        top, bottom = (figure(result, part) for part in path.split(" / "))
        return top / bottom if top is not None and bottom else None
    for key in path.split("."):
        result = result.get(key) if isinstance(result, dict) else None
    if result is not None and path.endswith("bytes_per_connection"):
        return result / 1024
    return result


def rows_of(name):
    return ROWS[name if name in ROWS else re.sub(r"-[\d.]+$", "", name)]


def brief(result):
    """One line for the eye while the benchmark runs."""
    if "error" in result:
        return "FAILED: " + result["error"]
    parts = []
    for key in ("connects_per_s", "rss_bytes_per_connection", "acks_per_s", "deliveries_per_s"):
        if key in result:
            parts.append(f"{key} {result[key]:,.0f}")
    if result.get("paced"):
        parts.append(f"p99 {result['latency_ms']['p99']:,.2f} ms")
    if not result["clean"]:
        parts.append(f"NOT CLEAN: {result['failed']} connections failed ({result['first_failure']})")
    return ", ".join(parts)


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
    return {
        "cores": len(cores),
        "model": model,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": sorted(entry for entry in listed if entry.lower().split("==")[0] in names),
        "load_before": os.getloadavg()[0],
    }


def spread(values, form):
    middle = form.format(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form.format(min(values))}–{form.format(max(values))})"


def share(results, key):
    values = [result[key] for result in results if key in result]
    return f"{max(values):.2f}" if values else "–"


def ratio_of(ours, theirs, more_is_better):
    """Above 1 ours is better, whichever way the figure counts."""
    top, bottom = (ours, theirs) if more_is_better else (theirs, ours)
    return f"{top / bottom:.1f}×" if bottom > 0 else "–"


def table(results, servers):
    ours, peer = servers
    yield f"| | {ours} | {peer} | better by | cores used: {ours} | {peer} | generator | others |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for name in dict.fromkeys(result["measurement"] for result in results):
        of_name = [result for result in results if result["measurement"] == name]
        by_server = {server: [r for r in of_name if r["server"] == server and "error" not in r] for server in servers}
        yield f"| **{of_name[0]['about']}** | | | | | | | |"
        shares = [share(by_server[ours], "server_cpu"), share(by_server[peer], "server_cpu")]
        shares += [share(by_server[ours] + by_server[peer], key) for key in ("generator_cpu", "others_cpu")]
        for title, path, form, more_is_better in rows_of(name):
            values = {s: [v for r in by_server[s] if (v := figure(r, path)) is not None] for s in servers}
            cells = [spread(values[s], form) if values[s] else "failed" for s in servers]
            if path.startswith("latency_ms"):
                # Answers that never came are only known to be later than the end, so the percentile is a lower bound.
                behind = [any(r.get("missing") for r in by_server[s]) for s in servers]
                cells = ["behind, over " + cell if late else cell for cell, late in zip(cells, behind)]
            # A latency behind its rate grows with the length of the run, so its ratio would mean nothing.
            ratio = "–"
            if all(values.values()) and not any(cell.startswith("behind") for cell in cells):
                ratio = ratio_of(*(statistics.median(values[s]) for s in servers), more_is_better)
            yield f"| {title} | {cells[0]} | {cells[1]} | {ratio} | {' | '.join(shares)} |"
            shares = ["", "", "", ""]


def warnings(facts, results):
    if facts["cores"] < 2:
        yield "Only one core: server and generator shared it; the capacities are too low and mean little."
    busiest = max((result.get("generator_cpu", 0) for result in results), default=0)
    if busiest > 0.9:
        yield f"The generator used up to {busiest:.2f} of its core: some capacities are its limit, not the server's."
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
    if any(result.get("missing") for result in results):
        yield "Behind: at this rate some answers had not come 2 s after the end; they are counted as that late."


def markdown(facts, results, servers, rounds):
    packages = ", ".join(entry.replace("==", " ") for entry in facts["packages"])
    placing = "One core per server, the generator on another." if facts["cores"] > 1 else "One core for both sides."
    lines = [
        f"Rounds: {rounds}; medians (lowest–highest). {placing} Cores used: the highest of all rounds.",
        "",
        *table(results, servers),
        "",
        f"Machine: cores: {facts['cores']}, {facts['model']}, Linux {facts['kernel']}; "
        f"load average {facts['load_before']:.1f} before, {facts['load_after']:.1f} after. "
        f"Peer: Python {facts['python']}, {packages}.",
    ]
    notes = list(warnings(facts, results))
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"
