"""`holdfast simulate`: fans of our own against three instances, and what it says when a promise is broken."""

import asyncio
import contextlib
import datetime
import json
import os
import signal
import ssl
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
        checked = {check["rule"]: check["breaches"] for check in report["checked"]}
        assert checked["a seat was sold twice"] == 0 and "the draw does not hold" not in checked
        assert report["networkCuts"] > 0 and report["sessionsRestored"] > 0 and report["ordersPaid"] > 30
        assert report["mostInside"] <= 60
        latencies = {latency["name"]: latency for latency in report["latencies"]}
        assert {"connect", "join", "select", "reserve", "pay", "http"} <= latencies.keys()
        # The report's orders are those of the database.
        paid = cluster.sql(f"SELECT count(*) FROM reservations WHERE event_id = '{event}' AND status = 'paid'")
        assert int(paid[0]) >= report["ordersPaid"]


def test_a_lobby_is_drawn_the_sale_is_paused_people_stand_and_have_two_tabs_and_no_promise_is_broken():
    with Cluster(instances=2) as cluster:
        opens = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=8)
        event = cluster.create_event(
            open=False, sections=[{"name": "A", "rows": 2, "seatsPerRow": 20, "price": 50000}],
            generalAdmission=[{"name": "Floor", "capacity": 60, "price": 30000}],
            queue=cluster.open_queue(maxActive=30, ratePerMinute=1200, passSeconds=20, mode="lobby"),
            sale={"opensAt": opens.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "maxSeatsPerUser": 4,
                  "holdSeconds": 10},
        )
        result, report = simulate(
            cluster, event, 60, "--arrive-seconds", "6", "--think-seconds", "0.4", "--duration", "90", "--second-tabs",
            "0.3", "--declined", "0.2", "--slow", "0.1", "--unanswered", "0.2", "--pause-at", "12", "--pause-seconds", "8",
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert report["breaches"] == 0 and report["ordersPaid"] > 5
        checked = {check["rule"] for check in report["checked"]}
        assert {"the draw does not hold", "a seat was granted while the sale was paused"} <= checked
        assert report["outcomes"]["looked on"] > 0 and report["outcomes"]["payment not answered"] > 0
        standing = cluster.sql(f"SELECT count(*) FROM seat_claims WHERE event_id = '{event}' AND seat_id LIKE 'Floor-%'")
        assert int(standing[0]) > 0
        # It was drawn, and it is open again.
        assert cluster.sql(f"SELECT status FROM events WHERE id = '{event}'") == ["open"]


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


@contextlib.contextmanager
def tls_in_front_of(instance, folder):
    """A server for `https://localhost` that passes everything on; its URL and its certificate."""
    certificate, key = folder / "localhost.pem", folder / "localhost.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def copy(reader, writer):
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", instance.port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    async def started():
        return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(started())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", certificate
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_a_service_behind_tls_is_played_with_its_own_certificate_and_refused_without(small):
    event = small.create_event(sections=HALL)
    tokens = small.folder / "tokens-tls"
    small.command("loadtest", "prepare", "--users", "6", "--tokens", str(tokens))
    with tls_in_front_of(small.instances[0], small.folder) as (url, certificate):
        command = [small.binary, "simulate", "--event", event, "--fans", "5", "--url", url, "--tokens", str(tokens)]
        options = ["--arrive-seconds", "0", "--think-seconds", "0.05", "--duration", "60"]
        run = {"env": {"PATH": os.environ["PATH"]}, "capture_output": True, "text": True, "check": False, "timeout": 120}
        play = subprocess.run([*command, *options, "--ca", str(certificate)], **run)
        assert play.returncode == 0, play.stdout + play.stderr
        assert "No promise was broken." in play.stdout and "everybody has left" in play.stdout
        stranger = subprocess.run([*command, *options], **run)
        assert stranger.returncode == 1 and "does not answer" in stranger.stderr, stranger.stdout + stranger.stderr


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
    ["--declined", "0.9", "--slow", "0.2"], ["--pause-at", "-1"], ["--pause-at", "3", "--tokens", "nowhere"],
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
