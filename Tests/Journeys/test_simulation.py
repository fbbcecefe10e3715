"""`holdfast simulate`: fans of our own against three instances, and what it says when a promise is broken."""

import json
import os
import signal
import subprocess
import threading

import pytest

from cluster import ROOT, Cluster

HALL = [{"name": "A", "rows": 10, "seatsPerRow": 20, "price": 50000}]


def simulate(cluster, event, fans, *options, environment=None, seconds=240):
    report = cluster.folder / "report.json"
    urls = [word for instance in cluster.instances for word in ("--url", instance.url)]
    result = subprocess.run(
        [cluster.binary, "simulate", "--event", event, "--fans", str(fans), *urls, "--json", str(report), *options],
        env=environment or cluster.environment, capture_output=True, text=True, cwd=ROOT, timeout=seconds, check=False,
    )
    return result, json.loads(report.read_text()) if report.exists() else None


def test_150_fans_on_three_instances_with_lost_networks_break_no_promise():
    with Cluster(instances=3) as cluster:
        event = cluster.create_event(
            sections=HALL, queue=cluster.open_queue(maxActive=60, ratePerMinute=3000, passSeconds=20),
            sale={"opensAt": None, "maxSeatsPerUser": 4, "holdSeconds": 10},
        )
        result, report = simulate(
            cluster, event, 150, "--arrive-seconds", "3", "--think-seconds", "0.3", "--drop-outs", "0.5",
            "--bots", "0.15", "--abandon", "0.1", "--duration", "60", "--seed", "7",
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "No promise was broken." in result.stdout
        assert report["breaches"] == 0 and report["fans"] == 150
        assert report["networkCuts"] > 0 and report["sessionsRestored"] > 0 and report["ordersPaid"] > 30
        assert report["mostInside"] <= 60
        latencies = {latency["name"]: latency for latency in report["latencies"]}
        assert {"connect", "join", "select", "reserve", "pay", "http"} <= latencies.keys()
        # The report's orders are those of the database.
        paid = cluster.sql(f"SELECT count(*) FROM reservations WHERE event_id = '{event}' AND status = 'paid'")
        assert int(paid[0]) >= report["ordersPaid"]


def test_a_service_that_loses_a_paid_order_is_found_out():
    """The database is robbed while fans play: what was answered is not there any more."""
    with Cluster(instances=1) as cluster:
        event = cluster.create_event(sections=HALL)
        stop = threading.Event()

        def rob():
            # What was committed and answered goes, as from a disk that lied about having written.
            while not stop.wait(0.1):
                cluster.sql("UPDATE reservations SET status = 'cancelled' WHERE status = 'paid'")

        robber = threading.Thread(target=rob)
        robber.start()
        try:
            result, report = simulate(
                cluster, event, 8, "--arrive-seconds", "2", "--think-seconds", "0.2", "--drop-outs", "0", "--bots", "0",
                "--abandon", "0", "--duration", "30",
            )
        finally:
            stop.set()
            robber.join()
        assert result.returncode == 1, result.stdout + result.stderr
        assert report["breaches"] > 0
        assert "a payment answered success was not found again" in result.stdout


@pytest.fixture(scope="module")
def small():
    with Cluster(instances=1) as running:
        yield running


def test_tokens_of_a_file_are_enough_to_play_from_outside(small):
    event = small.create_event(sections=HALL)
    tokens = small.folder / "tokens"
    small.command("loadtest", "prepare", "--users", "6", "--tokens", str(tokens))
    options = ["--tokens", str(tokens), "--arrive-seconds", "0", "--think-seconds", "0.05", "--duration", "30"]
    result, report = simulate(small, event, 5, *options, environment={"PATH": os.environ["PATH"]})
    assert result.returncode == 0, result.stdout + result.stderr
    assert report["ordersPaid"] > 0
    result, _ = simulate(small, event, 50, *options, environment={"PATH": os.environ["PATH"]})
    assert result.returncode == 1 and "loadtest prepare" in result.stderr


def test_ctrl_c_ends_the_play_and_reports_what_was_so_far(small):
    event = small.create_event(sections=HALL)
    words = [small.binary, "simulate", "--event", event, "--fans", "10", "--url", small.instances[0].url]
    play = subprocess.Popen(
        [*words, "--think-seconds", "30", "--duration", "200"], env=small.environment, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    assert "done" in play.stderr.readline()
    play.send_signal(signal.SIGINT)
    text, _ = play.communicate(timeout=60)
    assert play.returncode == 0 and "interrupted after" in text and "No promise was broken." in text


@pytest.mark.parametrize("options", [
    ["--fans", "0"], ["--bots", "1.5"], ["--url", "ftp://nowhere"], ["--think-seconds", "0"], ["--duration", "0"],
    ["--event", "no-event"], ["--unknown"],
])
def test_bad_usage_is_64_with_one_line_that_says_what_is_wrong(small, options):
    words = ["simulate", "--event", "00000000-0000-0000-0000-000000000000", "--fans", "3"]
    if options[0] in words:
        words[words.index(options[0]) + 1] = options[1]
        options = []
    error = small.command(*words, *options, status=64)
    assert len(error.splitlines()) == 1 and "--help" in error


def test_what_keeps_a_play_from_being_played_is_one_line_and_1(small):
    missing = "00000000-0000-0000-0000-000000000000"
    error = small.command("simulate", "--event", missing, "--fans", "2", "--url", small.instances[0].url, status=1)
    assert "there is no event" in error
    closed = small.create_event(open=False, sections=HALL)
    error = small.command("simulate", "--event", closed, "--fans", "2", "--url", small.instances[0].url, status=1)
    assert "holdfast event open" in error
    error = small.command("simulate", "--event", closed, "--fans", "2", "--url", "http://127.0.0.1:9", status=1)
    assert "does not answer" in error
